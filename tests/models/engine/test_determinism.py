import os
from dataclasses import replace

import pytest
import torch

from models.data.bundle import AuditData
from models.distillation.clipping.choice import clip_teacher
from models.distillation.students import plan_students, train_student
from models.engine.determinism import CUBLAS_WORKSPACE, deterministic
from models.engine.monitor import SilentMonitor
from models.recipes.abd import AbdRecipe, RetrospectionRecipe, VaccineRecipe
from models.recipes.clip import ClipRecipe
from models.recipes.job import Recipe
from models.recipes.ood import OodRecipe
from models.recipes.student import StudentRecipe
from models.recipes.zskt import ZsktRecipe
from tests.models.distillation.small import images, teacher, weights

RECIPE = Recipe(
    deterministic=True,
    student=StudentRecipe("wrn-10-1"),
    ood=OodRecipe(patches=64, images=64, batch_size=16),
    zskt=ZsktRecipe(pseudo_batches=3, batch_size=16, student_steps=2, generator_width=8, noise_size=8),
    abd=AbdRecipe(
        VaccineRecipe(members=2, selection_batches=0),
        RetrospectionRecipe(run="always", share=0.3, images=16, rounds=1, gradient="implicit", sweeps=2),
    ),
)


def test_nothing_is_changed_unless_wanted() -> None:
    with deterministic(False):
        assert not torch.are_deterministic_algorithms_enabled()


def test_settings_are_restored_also_after_an_error() -> None:
    before = (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark, dict(os.environ))
    with pytest.raises(KeyError), deterministic(True):
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.backends.cudnn.deterministic
        assert CUBLAS_WORKSPACE in os.environ
        raise KeyError
    assert not torch.are_deterministic_algorithms_enabled()
    after = (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark, dict(os.environ))
    assert after == before


class Watching(SilentMonitor):
    """Sees under which setting the steps are taken."""

    def __init__(self) -> None:
        self.seen: set[bool] = set()

    def progress(self, done: int, total: int, **scalars: float) -> None:
        self.seen.add(torch.are_deterministic_algorithms_enabled())


@pytest.mark.parametrize("method", ["ood", "zskt"])
def test_two_runs_take_every_operation_so_and_end_in_the_same_bits(method: str) -> None:
    suspect = teacher()
    recipe = replace(RECIPE, method=method)
    data = AuditData(photographs=list(images(1).repeat(1, 1, 8, 8)))
    order = plan_students(suspect, data, recipe)[1][-1]
    monitor = Watching()
    runs = [train_student(suspect, data, recipe, order, monitor) for _ in range(2)]
    assert monitor.seen == {True}
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.equal(*[weights(run.network) for run in runs])
    assert runs[0].result.curve == runs[1].result.curve


def test_the_bounds_of_a_clipped_teacher_are_found_so_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """They were found before the setting was made, and a student learns from nothing else."""
    seen = []

    def watched(*arguments: object, **named: object) -> object:
        seen.append(torch.are_deterministic_algorithms_enabled())
        return clip_teacher(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr("models.distillation.students.clip_teacher", watched)
    recipe = replace(RECIPE, method="ood", defense="clip", clip=ClipRecipe(images=32))
    _, orders = plan_students(teacher(), AuditData(), recipe)
    train_student(teacher(), AuditData(), recipe, orders[-1], SilentMonitor())
    assert seen == [True]
