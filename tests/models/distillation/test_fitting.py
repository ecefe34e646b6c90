"""What cannot be trained is known from the networks' structure."""

from __future__ import annotations

import pytest
import torch

from models.architectures import build
from models.checkpoints.load import Teacher
from models.distillation.fitting import require_fit
from models.errors import RecipeError
from models.recipes.architecture import ArchitectureSpec, Normalization


def fit(method: str, teacher: str, student: str, side: int) -> None:
    spec = ArchitectureSpec(teacher, 10, side)
    require_fit(
        method, Teacher(build(spec).eval(), Normalization(), spec), ArchitectureSpec(student, 10, side)
    )


@pytest.mark.parametrize(
    ("method", "teacher", "student", "side", "code"),
    [
        ("zskt", "wrn-10-1", "wrn-10-1", 30, "input_size_unsupported"),
        ("cmi", "wrn-10-1", "wrn-10-1", 30, "input_size_unsupported"),
        ("fast", "wrn-10-1", "wrn-10-1", 30, "input_size_unsupported"),
        ("fast", "vgg-11", "wrn-10-1", 32, "batchnorm_missing"),
        ("cmi", "vgg-11", "wrn-10-1", 32, "batchnorm_missing"),
        ("robustkd", "wrn-10-1", "mobilenet-v2", 32, "stages_incompatible"),
        ("feature", "wrn-10-1", "mobilenet-v2", 32, "stages_incompatible"),
    ],
)
def test_what_does_not_fit_is_refused(method: str, teacher: str, student: str, side: int, code: str) -> None:
    with pytest.raises(RecipeError) as refused:
        fit(method, teacher, student, side)
    assert refused.value.code == code


def test_a_student_that_cannot_be_built_for_the_input_is_refused() -> None:
    with pytest.raises(RecipeError, match="vgg-16-bn"):
        fit("ood", "wrn-10-1", "vgg-16-bn", 28)


@pytest.mark.parametrize("method", ["ood", "vanilla", "zskt", "cmi", "fast", "feature", "robustkd"])
def test_what_fits_passes_and_draws_no_number(method: str) -> None:
    spec = ArchitectureSpec("wrn-10-2", 10, 16)
    teacher = Teacher(build(spec).eval(), Normalization(), spec)
    before = torch.get_rng_state()
    require_fit(method, teacher, ArchitectureSpec("wrn-10-1", 10, 16))
    assert torch.equal(torch.get_rng_state(), before)
