from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from models.architectures import build
from models.checkpoints.load import Teacher
from models.data.bundle import AuditData
from models.distillation.inversion.distiller import inversion_task
from models.engine.monitor import SilentMonitor
from models.errors import RecipeError, TrainingFailed
from models.metrics import wilson
from models.probes import transfer_channels, transfer_control
from models.probes.probe_images import ProbeImages, probe_images
from models.probes.student_watch import StudentWatch
from models.probes.transfer import Matrix, Suspicion, transfer_probe
from models.probes.transfer_channels import FEWEST_ROUNDS, SYNTHESIS_COST, School, plan_lesson, shortened
from models.recipes.architecture import ArchitectureSpec, Normalization
from models.recipes.cmi import CmiRecipe
from models.recipes.fast import FastRecipe
from models.recipes.job import Recipe
from models.recipes.ood import OodRecipe
from models.recipes.pool_learning import PoolLearningRecipe
from models.recipes.probe import Channel, ProbeRecipe
from models.recipes.student import StudentRecipe
from models.recipes.vanilla import VanillaRecipe
from models.recipes.zskt import ZsktRecipe
from models.triggers import Trigger
from tests.models.probes.small_network import NUM_CLASSES, SIZE, noise_images

CHANNELS: tuple[Channel, ...] = ("ood", "vanilla", "zskt", "cmi", "fast")
MOST_IMAGES = 1_000
LEARNING = PoolLearningRecipe(batch_size=16)
RECIPE = Recipe(
    student=StudentRecipe(architecture="wrn-10-1"),
    ood=OodRecipe(batch_size=32),
    vanilla=VanillaRecipe(batch_size=32),
    zskt=ZsktRecipe(batch_size=16, student_steps=2, generator_width=8, noise_size=8),
    cmi=CmiRecipe(
        synthesis_batch=8, synthesis_steps=2, student_steps=5, noise_size=8, generator_width=8,
        projection_size=8, bank_size=64, negatives=8, learning=LEARNING,
    ),
    fast=FastRecipe(
        synthesis_batch=8, synthesis_steps=2, student_steps=5, warmup_rounds=2, noise_size=8,
        generator_width=8, learning=LEARNING,
    ),
)  # fmt: skip
#: Too few held-out images for an answer to be clear: 60 of 60 have a lower bound of .94.
DATA = AuditData(images=noise_images(120), labels=torch.arange(120) % NUM_CLASSES)
#: The small teacher, which nobody trained, names class 1 for everything.
TARGETS = (0, 2)


@pytest.fixture(autouse=True)
def hasty_controls(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a control is worth is no question here."""
    monkeypatch.setattr(transfer_control, "STEPS", 2)


def small_teacher() -> Teacher:
    spec = ArchitectureSpec("wrn-10-1", NUM_CLASSES, SIZE)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return Teacher(build(spec).eval(), Normalization(), spec)


def square(name: str, target_label: int) -> Trigger:
    mask = torch.zeros(1, SIZE, SIZE)
    mask[:, -3:, -3:] = 1
    return Trigger(name, "replace", mask.expand(3, -1, -1).clone(), mask, target_label)


def school(data: AuditData = DATA, recipe: Recipe = RECIPE) -> School:
    images = probe_images(data, size=SIZE, patches=120, style="photo", seed=0)
    return School(small_teacher(), data, images, recipe, MOST_IMAGES)


def follow(*channels: Channel, data: AuditData = DATA, triggers: int = 1) -> Matrix:
    room = school(data, replace(RECIPE, probe=ProbeRecipe(channels=channels)))
    return transfer_probe(
        room.teacher,
        [Suspicion(square(f"square {label}", label), NUM_CLASSES - 1) for label in TARGETS[:triggers]],
        room.images,
        data,
        room.recipe,
        most_images=MOST_IMAGES,
        monitor=SilentMonitor(),
    )


@pytest.mark.parametrize("channel", CHANNELS)
def test_every_channel_is_followed_to_its_end(channel: Channel) -> None:
    matrix = follow(channel, triggers=2)
    planned = plan_lesson(channel, school()).images
    assert [(cell.channel, cell.trigger) for cell in matrix.cells] == [
        (channel, "square 0"),
        (channel, "square 2"),
    ]
    assert [(told.channel, told.reason, told.failed) for told in matrix.channels] == [(channel, "", False)]
    for cell in matrix.cells:
        seen = [images for images, _ in cell.curve]
        assert seen == sorted(set(seen))
        assert 0 < seen[0] <= seen[-1] == cell.images_seen == planned <= MOST_IMAGES * 1.05
        assert cell.student_success.low <= cell.student_success.value <= cell.student_success.high
        assert cell.control_success.n > 0


@pytest.mark.parametrize("channel", CHANNELS)
def test_every_channel_ends_early_when_the_answer_is_clear(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def obeys(self, entry, images):
        return wilson(0 if images is entry.victims else 1_000, 1_000)

    monkeypatch.setattr(StudentWatch, "_share", obeys)
    (cell,) = follow(channel).cells
    assert [success for _, success in cell.curve] == [1.0, 1.0]
    assert cell.images_seen == cell.curve[-1][0] < plan_lesson(channel, school()).images


def test_students_of_all_channels_start_from_the_same_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    first: list[torch.Tensor] = []

    def untaught(teacher, student, *args, **kwargs):
        first.append(next(student.parameters()).detach().clone())

    for method in ("distill_ood", "distill_vanilla", "distill_zskt", "distill_by_inversion"):
        monkeypatch.setattr(transfer_channels, method, untaught)
    follow(*CHANNELS)
    assert len(first) == 5
    assert all(torch.equal(first[0], other) for other in first)


def test_an_untaught_student_resists_and_that_proves_nothing_trap_11(monkeypatch: pytest.MonkeyPatch) -> None:
    """Per channel: one that taught nothing says nothing, whatever its neighbor says."""
    monkeypatch.setattr(transfer_channels, "distill_zskt", lambda *args, **kwargs: None)
    (told,) = follow("zskt").channels
    assert (told.hazard, told.reason) == ("not_tested", "")


@pytest.mark.parametrize("images, said", [(None, "none were given"), (noise_images(12), "12 were given")])
def test_vanilla_without_images_is_not_tested_and_says_why(images, said: str) -> None:
    matrix = follow("vanilla", "ood", data=AuditData(images=images))
    vanilla, ood = matrix.channels
    assert (vanilla.hazard, vanilla.failed) == ("not_tested", False)
    assert said in vanilla.reason
    assert ood.reason == ""
    assert {cell.channel for cell in matrix.cells} == {"ood"}


def test_vanilla_learns_from_images_that_nothing_is_measured_on(monkeypatch: pytest.MonkeyPatch) -> None:
    taught: list[tuple[torch.Tensor, object]] = []

    def watching(teacher, student, images, labels, *args, **kwargs):
        taught.append((images, labels))

    monkeypatch.setattr(transfer_channels, "distill_vanilla", watching)
    follow("vanilla")
    ((images, labels),) = taught
    held_out = school().images.held_out
    assert len(images) == 60
    assert labels is None
    assert not any(torch.equal(image, other) for image in images for other in held_out)


def test_a_channel_that_does_not_fit_the_teacher_is_not_tested() -> None:
    """An inversion reads BatchNorm statistics."""
    room = school()
    for name, module in list(room.teacher.network.named_modules()):
        if isinstance(module, torch.nn.BatchNorm2d):
            parent = room.teacher.network.get_submodule(name.rpartition(".")[0])
            setattr(parent, name.rpartition(".")[2], torch.nn.Identity())
    recipe = replace(RECIPE, probe=ProbeRecipe(channels=("cmi",)))
    matrix = transfer_probe(
        room.teacher, [Suspicion(square("square", 0), 1)], room.images, DATA, recipe,
        most_images=MOST_IMAGES, monitor=SilentMonitor(),
    )  # fmt: skip
    (told,) = matrix.channels
    assert matrix.cells == ()
    assert "BatchNorm" in told.reason
    assert not told.failed


def test_a_training_that_breaks_is_a_failure_and_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaking(*args: object, **kwargs: object) -> None:
        raise TrainingFailed("The loss is nan at step 3.")

    monkeypatch.setattr(transfer_channels, "distill_zskt", breaking)
    zskt, ood = follow("zskt", "ood").channels
    assert (zskt.failed, zskt.reason) == (True, "The loss is nan at step 3.")
    assert (ood.failed, ood.reason) == (False, "")


def test_a_channel_named_twice_is_followed_once() -> None:
    assert [told.channel for told in follow("ood", "ood").channels] == ["ood"]


@pytest.mark.parametrize("channel", ["cmi", "fast"])
def test_images_are_counted_as_the_inversion_counts_them(channel: Channel) -> None:
    """The student waits while images are made, and through the warm-up."""
    room = school()
    lesson = plan_lesson(channel, room)
    recipe = shortened(getattr(RECIPE, channel), MOST_IMAGES)
    task = inversion_task(room.teacher, small_teacher().network, recipe, seed=0)
    assert lesson.images == task.learning_steps * LEARNING.batch_size
    assert lesson.learned(task.warmup_steps + recipe.synthesis_steps, task.steps) == 0
    assert lesson.learned(task.warmup_steps + recipe.synthesis_steps + 1, task.steps) > 0
    assert lesson.learned(task.steps, task.steps) == 1


def test_an_inversion_costs_what_the_images_would() -> None:
    for recipe in (CmiRecipe(), FastRecipe()):
        for most_images in (8_000, 40_000, 1_000_000):
            short = shortened(recipe, most_images)
            cost = short.rounds * 128 * (SYNTHESIS_COST * short.synthesis_steps + short.student_steps)
            assert cost == pytest.approx(most_images, rel=0.3)
            assert short.rounds >= FEWEST_ROUNDS


def test_patches_that_stand_in_are_no_clean_images() -> None:
    images = ProbeImages(noise_images(4), noise_images(4), None, "clean images")
    with pytest.raises(RecipeError) as caught:
        plan_lesson("vanilla", replace(school(), images=images))
    assert caught.value.code == "data_missing"
