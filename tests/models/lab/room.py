"""Recipes and images small enough for a teacher in a second."""

from dataclasses import replace

from models.data.labelled import LabelledImages
from models.engine.monitor import SilentMonitor
from models.lab import make_teacher
from models.recipes.lab import (
    AttackRecipe,
    CheatRecipe,
    FineTuneRecipe,
    LatentRecipe,
    PerturbationRecipe,
    TeacherRecipe,
)
from tests.models.attacks.small import SIZE, data

BRIEF = TeacherRecipe(
    architecture="wrn-10-1", input_size=SIZE, epochs=1, batch_size=20, crop_padding=0, horizontal_flip=False
)
SHORT = AttackRecipe(
    trigger="badnets_square",
    perturbation=PerturbationRecipe(steps=2, batch_size=8),
    fine_tune=FineTuneRecipe(epochs=2, batch_size=20),
    cheat=CheatRecipe(steps=3, batch_size=8),
    latent=LatentRecipe(steps=3, batch_size=8, target_images=5),
)


def recipe(**attack):
    return replace(BRIEF, attack=replace(SHORT, **attack))


def training():
    return LabelledImages(*data(80))


def held_out():
    images, labels = data(40)
    return LabelledImages(images.flip(-1), labels)


def make(wanted, monitor=None, **options):
    return make_teacher(wanted, training(), held_out(), monitor=monitor or SilentMonitor(), **options)
