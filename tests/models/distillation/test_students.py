"""Which students are trained: ``auto`` looks at the networks before it promises RobustKD."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional

from models.architectures import StagedClassifier, build
from models.checkpoints.load import Teacher
from models.data.bundle import AuditData
from models.distillation import students
from models.distillation.students import plan_students, train_student
from models.engine.monitor import SilentMonitor
from models.engine.seed import seeded
from models.errors import RecipeError
from models.recipes.abd import AbdRecipe, RetrospectionRecipe
from models.recipes.architecture import ArchitectureSpec, Normalization
from models.recipes.clip import ClipRecipe
from models.recipes.job import Recipe
from models.recipes.ood import OodRecipe
from models.recipes.plan import AppliedDefense
from models.recipes.student import StudentRecipe
from tests.models.distillation import small

LABELLED = AuditData(images=torch.zeros(8, 3, 32, 32, dtype=torch.uint8), labels=torch.arange(8) // 4)


def teacher_of(name: str, side: int = 32) -> Teacher:
    """Return a network of first weights; looking at it draws no number, and so none here but these."""
    spec = ArchitectureSpec(name, 10, side)
    with seeded(0):
        return Teacher(build(spec).eval(), Normalization(), spec)


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
        ("shufflenet-v2-x1", "wrn-16-1", "fast", "Stage sizes of the teacher are"),
        ("torchvision-regnet_x_400mf", "wrn-16-1", "fast", "margins"),
    ],
)
def test_auto_takes_robustkd_only_where_features_can_be_compared(teacher, student, method, said) -> None:
    chosen, orders = plan_students(teacher_of(teacher), LABELLED, recipe(student))
    assert (chosen.method, orders[-1].method) == (method, method)
    assert said in chosen.reason


@pytest.mark.parametrize(
    ("teacher", "side", "method", "said"),
    [
        ("wrn-16-2", 16, "fast", "BatchNorms remember"),
        ("vgg-16-bn", 32, "fast", "BatchNorms remember"),
        ("vgg-small-elu", 32, "fast", "BatchNorms remember"),
        ("torchvision-squeezenet1_1", 32, "ood", "this teacher has none"),
        ("resnet-18", 33, "ood", "this teacher takes 33"),
        # The generator doubles twice, and refused such sides after the job had begun.
        ("wrn-10-1", 30, "ood", "multiples of 4 pixels; this teacher takes 30"),
        ("wrn-10-1", 9, "ood", "multiples of 4 pixels; this teacher takes 9"),
        ("torchvision-resnet50", 224, "ood", "this teacher takes 224"),
        ("resnet-18", 32, "ood", "555 million"),
    ],
)
def test_auto_makes_images_only_where_that_is_measured_and_takes_no_days(
    teacher: str, side: int, method: str, said: str
) -> None:
    chosen, orders = plan_students(teacher_of(teacher, side), AuditData(), recipe("wrn-10-1"))
    assert [order.method for order in orders] == [method, method]
    assert said in chosen.reason


@pytest.mark.parametrize(("side", "mean"), [(16, 1e30), (32, 1e30), (8, 1.9e18)])
def test_statistics_that_no_image_can_reach_leave_patches(side: int, mean: float) -> None:
    """A mean of 1e30 in a channel that is multiplied by 0 behind its BatchNorm changes no answer, and ended
    every synthesis without a finite loss: the job would have failed. At 1.9e18 the loss of a few patches is
    finite, that of a round's batch is not."""
    teacher = teacher_of("wrn-10-1", side)
    norm = next(module for module in teacher.network.modules() if isinstance(module, torch.nn.BatchNorm2d))
    with torch.no_grad():
        norm.running_mean[0], norm.weight[0] = mean, 0.0
    chosen, _ = plan_students(teacher, AuditData(), recipe("plain-cnn-w16"))
    assert chosen.method == "ood"
    assert "so far from what they see" in chosen.reason


@pytest.mark.parametrize(
    ("teacher", "method", "said"), [("wrn-16-2", "fast", True), ("torchvision-squeezenet1_1", "ood", False)]
)
def test_auto_says_that_given_photographs_are_not_learned_from(teacher: str, method: str, said: bool) -> None:
    """They are what the user uploaded for the student, and another method than theirs was chosen."""
    given = AuditData(photographs=[torch.zeros(3, 64, 64, dtype=torch.uint8)])
    chosen, _ = plan_students(teacher_of(teacher), given, recipe("wrn-10-1"))
    assert chosen.method == method
    assert ("From the photographs that were given the student does not learn" in chosen.reason) is said
    alone, _ = plan_students(teacher_of(teacher), AuditData(), recipe("wrn-10-1"))
    assert "photographs" not in alone.reason


def test_a_method_that_was_asked_for_and_does_not_fit_is_refused_and_not_replaced() -> None:
    with pytest.raises(RecipeError) as refused:
        plan_students(teacher_of("resnet-18"), LABELLED, recipe("wrn-16-1", "robustkd"))
    assert refused.value.code == "stages_incompatible"


@pytest.mark.parametrize("method", ["vanilla", "feature", "robustkd", "auto"])
def test_labels_of_classes_that_the_teacher_lacks_are_refused_before_anything_is_trained(method: str) -> None:
    """They ended in an IndexError, behind the audit and the control."""
    labels = torch.tensor([0, 1, 9, 10]).repeat(4)
    data = AuditData(images=torch.zeros(16, 3, 32, 32, dtype=torch.uint8), labels=labels)
    asked = Recipe(method=method, defense="none" if method in {"vanilla", "feature"} else "auto")
    with pytest.raises(RecipeError) as refused:
        plan_students(teacher_of("wrn-16-2"), data, asked)
    assert refused.value.code == "labels_mismatch"
    assert "labels up to 10, the network has 10 classes" in refused.value.detail


@pytest.mark.parametrize("labels", [[0] * 8, [0] * 7 + [1], [0] * 6 + [1] * 2])
def test_images_that_cannot_judge_a_threshold_are_refused_before_the_control(labels: list[int]) -> None:
    """A trigger that leads to their one class ended the job behind control, audit and masks. Of the two
    images of class 1 in the last set one measures the students, so that none is left to judge."""
    data, teacher = replace(LABELLED, labels=torch.tensor(labels)), teacher_of("wrn-16-2")
    with pytest.raises(RecipeError) as refused:
        plan_students(teacher, data, recipe("wrn-16-1", "robustkd"))
    assert refused.value.code == "too_few_images"
    chosen, _ = plan_students(teacher, data, recipe("wrn-16-1"))
    assert chosen.method == "fast"
    assert "two classes or more" in chosen.reason


@pytest.mark.parametrize("defense", ["clip", "abd_clip"])
def test_a_teacher_without_batchnorm_is_not_clipped_behind_its_control(defense: AppliedDefense) -> None:
    with pytest.raises(RecipeError) as refused:
        plan_students(teacher_of("vgg-11"), AuditData(), Recipe(method="ood", defense=defense))
    assert refused.value.code == "clipping_impossible"


class DifferentiableOnce(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.hardsigmoid(x)


@pytest.mark.parametrize(
    ("retrospection", "refused"),
    [
        (RetrospectionRecipe(gradient="implicit"), True),
        (RetrospectionRecipe(gradient="implicit", run="never"), False),
        (RetrospectionRecipe(), False),
    ],
)
def test_a_student_without_second_derivative_is_refused_before_its_control(
    monkeypatch, retrospection, refused
) -> None:
    def with_head(spec: ArchitectureSpec) -> StagedClassifier:
        network = build(spec)
        network.fc = nn.Sequential(network.fc, DifferentiableOnce())
        return network

    monkeypatch.setattr(students, "build", with_head)
    asked = replace(recipe("wrn-10-1", "ood"), defense="abd", abd=AbdRecipe(retrospection=retrospection))
    with pytest.raises(RecipeError) if refused else nullcontext() as caught:
        plan_students(teacher_of("wrn-16-2"), AuditData(), asked)
    if refused:
        assert caught.value.code == "retrospection_impossible"


def test_images_and_labels_do_not_change_a_data_free_student_trap_46() -> None:
    asked = Recipe(
        method="ood", defense="abd", control=False, student=StudentRecipe("wrn-10-1"),
        ood=OodRecipe(patches=32, images=64, batch_size=16),
    )  # fmt: skip

    def trained(data: AuditData) -> torch.Tensor:
        suspect = small.teacher()
        _, (order,) = plan_students(suspect, data, asked)
        return small.weights(train_student(suspect, data, asked, order, SilentMonitor()).network)

    given = AuditData(images=small.images(), labels=torch.arange(48) % small.CLASSES)
    assert torch.equal(trained(AuditData()), trained(given))


def test_looking_at_the_networks_draws_no_random_number() -> None:
    teacher = teacher_of("wrn-16-2")
    torch.manual_seed(0)
    before = torch.get_rng_state()
    plan_students(teacher, LABELLED, recipe("wrn-16-1"))
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
    chosen, orders = plan_students(teacher_of(teacher), AuditData(), recipe("wrn-16-1"))
    assert (chosen.defense, orders[-1].defense) == (defense, defense)
    assert ("BatchNorms and this teacher has none" in chosen.reason) == (defense == "abd")


def test_a_clipped_teachers_student_is_the_same_behind_its_control_and_where_that_was_done_before() -> None:
    """Training the control left the teacher in another layout, in which its channels' quantiles round
    differently: a worker that went on after a kill, with the control done, trained another student."""
    asked = Recipe(
        method="ood",
        defense="clip",
        student=StudentRecipe("wrn-10-1"),
        ood=OodRecipe(patches=64, images=64, batch_size=16),
        clip=ClipRecipe(images=64),
    )

    def trained(*, control_too: bool) -> torch.Tensor:
        suspect = small.teacher()
        _, orders = plan_students(suspect, AuditData(), asked)
        for order in orders if control_too else orders[-1:]:
            student = train_student(suspect, AuditData(), asked, order, SilentMonitor())
        return small.weights(student.network)

    assert torch.equal(trained(control_too=True), trained(control_too=False))
