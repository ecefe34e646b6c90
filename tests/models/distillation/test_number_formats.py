"""Every method in bfloat16, as on machines where that pays, whatever this one is."""

from __future__ import annotations

import pytest
import torch

from models.data.bundle import AuditData
from models.distillation.students import StudentOrder, train_student
from models.engine.monitor import SilentMonitor
from models.engine.precision import bfloat16_pays
from models.recipes.architecture import ArchitectureSpec
from models.recipes.feature import FeatureRecipe
from models.recipes.job import Recipe
from models.recipes.ood import OodRecipe
from models.recipes.robustkd import RobustKDRecipe
from models.recipes.vanilla import VanillaRecipe
from models.recipes.zskt import ZsktRecipe
from tests.models.distillation.inversion.small_recipes import ABD, CMI, FAST
from tests.models.distillation.small import CLASSES, SIZE, images, teacher, weights

FEATURE = FeatureRecipe(epochs=1, batch_size=16)
RECIPE = Recipe(
    vanilla=VanillaRecipe(images=64, batch_size=16),
    ood=OodRecipe(patches=32, images=64, batch_size=16),
    zskt=ZsktRecipe(pseudo_batches=2, batch_size=16, student_steps=2, generator_width=8, noise_size=8),
    cmi=CMI,
    fast=FAST,
    robustkd=RobustKDRecipe(
        thresholds=(0.6,),
        canaries=0,
        rounds=1,
        mask_batch_size=16,
        mean_images=8,
        max_accuracy_drop=1.0,
        feature=FEATURE,
    ),
    abd=ABD,
)
#: Processors without bfloat16 emulate it at a tenth of the speed, and ABD's passes are many.
METHODS = [
    *((method, "none") for method in ("ood", "zskt", "cmi", "fast")),
    ("ood", "abd"),
    *(pytest.param(method, "abd", marks=pytest.mark.slow) for method in ("zskt", "cmi", "fast")),
    ("ood", "clip"),
    ("vanilla", "none"),
    ("feature", "none"),
    ("robustkd", "robustkd"),
]


def processor(monkeypatch, **capabilities):
    """Let torch name this processor so."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)


def trained(method, defense):
    """Train with everything by which a student could differ but the number format held fixed."""
    clean = images()
    data = AuditData(clean, torch.arange(len(clean)) % CLASSES)
    order = StudentOrder("defended", method, defense, ArchitectureSpec("wrn-10-1", CLASSES, SIZE))
    return train_student(teacher(), data, RECIPE, order, SilentMonitor())


@pytest.mark.parametrize(("method", "defense"), METHODS, ids=lambda value: value)
def test_a_student_learns_in_bfloat16_and_ends_near_the_one_of_float32(method, defense, monkeypatch):
    single = trained(method, defense)
    processor(monkeypatch, amx_tile=True)
    assert bfloat16_pays(torch.device("cpu"))
    half = trained(method, defense)
    a, b = weights(single.network), weights(half.network)
    assert half.network.fc.weight.dtype == torch.float32
    assert b.isfinite().all()
    assert not a.equal(b)
    assert (a - b).norm() < 0.1 * a.norm()


INTEL, AMD = "Intel Xeon Platinum 8481C", "AMD EPYC"


@pytest.mark.parametrize(
    ("capabilities", "pays"),
    [
        ({}, False),
        ({"cpu_name": INTEL, "avx512_bf16": True, "amx_tile": False}, False),
        ({"cpu_name": INTEL, "avx512_bf16": True, "amx_tile": True}, True),
        ({"cpu_name": AMD, "avx512_bf16": True, "amx_tile": False}, True),
        ({"cpu_name": AMD, "avx512_bf16": False, "amx_tile": False}, False),
    ],
)
def test_the_processor_decides(capabilities, pays, monkeypatch):
    processor(monkeypatch, **capabilities)
    assert bfloat16_pays(torch.device("cpu")) is pays
    assert not bfloat16_pays(torch.device("meta"))


def test_an_old_torch_that_cannot_name_the_processor_gets_float32(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert not bfloat16_pays(torch.device("cpu"))
