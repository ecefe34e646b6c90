"""Which students are trained: ``auto`` looks at the networks before it promises RobustKD."""

from __future__ import annotations

import pytest
import torch

from models.data.bundle import AuditData
from models.distillation.students import plan_students
from models.recipes.architecture import ArchitectureSpec
from models.recipes.job import Recipe
from models.recipes.student import StudentRecipe

LABELLED = AuditData(
    images=torch.zeros(4, 3, 32, 32, dtype=torch.uint8), labels=torch.zeros(4, dtype=torch.long)
)


def recipe(student: str, method: str = "auto") -> Recipe:
    return Recipe(method=method, student=StudentRecipe(architecture=student))


@pytest.mark.parametrize(
    ("teacher", "student", "method", "said"),
    [
        ("wrn-16-2", "wrn-16-1", "robustkd", "detoxified"),
        ("resnet-20", "wrn-16-1", "robustkd", "detoxified"),
        ("resnet-18", "wrn-16-1", "ood", "Stage sizes of the teacher are"),
        ("torchvision-squeezenet1_1", "wrn-16-1", "ood", "margins"),
        ("shufflenet-v2-x1", "shufflenet-v2-x0.5", "robustkd", "detoxified"),
        ("shufflenet-v2-x1", "wrn-16-1", "ood", "Stage sizes of the teacher are"),
        ("torchvision-regnet_x_400mf", "wrn-16-1", "ood", "margins"),
    ],
)
def test_auto_takes_robustkd_only_where_features_can_be_compared(teacher, student, method, said) -> None:
    spec = ArchitectureSpec(teacher, 10, 32)
    chosen, orders = plan_students(spec, LABELLED, recipe(student))
    assert (chosen.method, orders[-1].method) == (method, method)
    assert said in chosen.reason


def test_a_method_that_was_asked_for_is_not_second_guessed() -> None:
    spec = ArchitectureSpec("resnet-18", 10, 32)
    assert plan_students(spec, LABELLED, recipe("wrn-16-1", "robustkd"))[0].method == "robustkd"


def test_looking_at_the_networks_draws_no_random_number() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    plan_students(ArchitectureSpec("wrn-16-2", 10, 32), LABELLED, recipe("wrn-16-1"))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("teacher", "defense"),
    [
        ("wrn-16-2", "abd_clip"),
        ("torchvision-squeezenet1_1", "abd"),
        # Computes its depth and widths with tensors, which have no values on the meta device.
        ("torchvision-regnet_x_400mf", "abd_clip"),
    ],
)
def test_auto_clips_teachers_that_have_something_to_clip(teacher: str, defense: str) -> None:
    chosen, orders = plan_students(ArchitectureSpec(teacher, 10, 32), AuditData(), recipe("wrn-16-1"))
    assert (chosen.defense, orders[-1].defense) == (defense, defense)
    assert ("BatchNorms and this teacher has none" in chosen.reason) == (defense == "abd")
