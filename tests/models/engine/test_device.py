"""The whole library on a GPU, where there is one; and what is said where there is none."""

from __future__ import annotations

import pytest
import torch

from models import api
from models.architectures import build
from models.checkpoints.load import Teacher
from models.data.bundle import AuditData
from models.engine.device import choose_device
from models.engine.monitor import SilentMonitor
from models.errors import TrainingFailed
from models.recipes.architecture import ArchitectureSpec, Normalization
from models.recipes.cmi import CmiRecipe
from models.recipes.fast import FastRecipe
from models.recipes.job import Recipe
from models.recipes.ood import OodRecipe
from models.recipes.plan import DATA_FREE
from models.recipes.probe import ProbeRecipe
from models.recipes.zskt import ZsktRecipe
from models.triggers.catalog import make_trigger
from models.verification import Candidate, MeasuredTrigger

SPEC = ArchitectureSpec("wrn-10-2", 4, 16)
CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA GPU")


def test_the_cpu_is_always_there() -> None:
    assert choose_device("cpu") == torch.device("cpu")


def test_a_missing_gpu_is_an_error_and_not_a_slow_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(TrainingFailed) as caught:
        choose_device("gpu")
    assert caught.value.code == "gpu_missing"
    assert "device cpu" in caught.value.hint


@CUDA
@pytest.mark.parametrize("method", ["ood", "zskt", "cmi", "fast", "vanilla", "robustkd"])
def test_a_job_computes_on_the_gpu(method: str) -> None:
    torch.manual_seed(0)
    teacher = Teacher(build(SPEC).eval().to(choose_device("gpu")), Normalization(), SPEC)
    data = AuditData(torch.randint(0, 256, (200, 3, 16, 16), dtype=torch.uint8), torch.randint(0, 4, (200,)))
    recipe = Recipe(
        method=method,
        defense="abd" if method in DATA_FREE else "none",
        probe=ProbeRecipe(budget="quick"),
        ood=OodRecipe(patches=256, images=2_560),
        zskt=ZsktRecipe(pseudo_batches=4),
        cmi=CmiRecipe(rounds=2, synthesis_steps=3, student_steps=3),
        fast=FastRecipe(rounds=4, warmup_rounds=1, student_steps=3),
    )
    trigger = make_trigger("badnets_square", 16, 1)
    audited = api.audit(teacher, data, [trigger], recipe, SilentMonitor())
    assert len(audited.result.probes) >= 2
    _, orders = api.plan_students(teacher, data, recipe)
    student = api.distill(teacher, data, recipe, orders[-1], SilentMonitor(), recovered=audited.recovered)
    assert next(student.network.parameters()).device.type == "cuda"
    images = api.measuring_images(teacher, data, recipe, method=method)
    candidates = [
        Candidate("teacher", teacher.pixel_classifier(), SPEC),
        Candidate(
            "defended",
            Teacher(student.network, teacher.normalization, orders[-1].architecture).pixel_classifier(),
            orders[-1].architecture,
        ),
    ]
    triggers = [MeasuredTrigger(trigger, "given")]
    assert len(api.verify(candidates, images, triggers, recipe.verify, SilentMonitor()).networks) == 2
