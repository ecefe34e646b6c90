import pytest
import torch
from torch import Tensor

from models.architectures import PixelClassifier, StagedClassifier, build
from models.distillation.feature_task import FeatureTask, check_stages
from models.distillation.labelled_batches import LabelledBatches
from models.errors import RecipeError
from models.recipes.architecture import ArchitectureSpec, Normalization
from models.recipes.feature import FeatureRecipe


def network(name: str, seed: int) -> StagedClassifier:
    torch.manual_seed(seed)
    built = build(ArchitectureSpec(name, 4, 8))
    for module in built.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.bias, std=0.3)
            torch.nn.init.normal_(module.weight, mean=1.0, std=0.3)
    return built


def make_task(steps: int = 8, edit: object = None) -> FeatureTask:
    teacher = PixelClassifier(network("wrn-10-2", 0), Normalization()).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (16, 3, 8, 8), generator=generator, dtype=torch.uint8)
    batches = LabelledBatches(
        teacher,
        images,
        torch.arange(16) % 4,
        batch_size=8,
        crop_padding=0,
        horizontal_flip=False,
        seed=0,
    )
    return FeatureTask(
        teacher, network("wrn-10-1", 1), batches, FeatureRecipe(), steps=steps, seed=0, edit=edit
    )


def test_trap_21_teacher_buffers_do_not_move() -> None:
    task = make_task()
    before = {name: buffer.clone() for name, buffer in task.teacher.named_buffers()}
    task.step(0)
    assert all(torch.equal(buffer, before[name]) for name, buffer in task.teacher.named_buffers())


def test_trap_42_student_statistics_are_updated_once_per_step() -> None:
    task = make_task()
    task.step(0)
    counts = {
        int(module.num_batches_tracked)
        for module in task.student.modules()
        if isinstance(module, torch.nn.BatchNorm2d) and module.num_batches_tracked is not None
    }
    assert counts == {1}


def test_trap_42_targets_are_not_overwritten_by_the_next_relu() -> None:
    task = make_task()
    x, _ = task.batches(0)
    targets = task._targets(x)
    assert all((target < 0).any() for target in targets)
    stage = task.teacher.stage(0, task.teacher.stem(x))
    torch.testing.assert_close(targets[0], task.teacher.prerelu(0, stage))


def test_trap_38_each_network_uses_its_own_next_batchnorm() -> None:
    task = make_task()
    x, _ = task.batches(0)
    stage = task.teacher.forward_stages(x).stages[1]
    norm = task.teacher.margin_norm(1)
    assert norm is not task.student.margin_norm(1)
    torch.testing.assert_close(task._targets(x)[1], norm(stage))


def test_trap_43_connectors_learn_before_and_after_a_decay() -> None:
    task = make_task(steps=2)
    weight = next(task.connectors.parameters())
    for step in range(2):
        before = weight.detach().clone()
        task.step(step)
        assert not torch.equal(weight, before)


def test_both_decays_are_kept_in_a_run_of_eight_steps() -> None:
    task = make_task(steps=8)
    rates = []
    for step in range(8):
        task.step(step)
        rates.append(task.optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([0.1] * 4 + [0.01] * 2 + [0.001] * 2)


def test_trap_43_momentum_of_student_and_connectors_starts_anew_at_a_decay() -> None:
    task = make_task(steps=4)
    rate = task.recipe.learning_rate
    task.step(0)
    task.step(1)
    weight = next(task.connectors.parameters())
    carried = task.optimizer.state[weight]["momentum_buffer"]
    assert carried.abs().max() > 0
    before = weight.detach().clone()
    task.step(2)
    # Nesterov's first step is (1 + momentum) times the decayed gradient, with nothing of the past in it.
    gradient = weight.grad + task.recipe.weight_decay * before
    expected = before - 0.1 * rate * (1 + task.recipe.momentum) * gradient
    torch.testing.assert_close(weight.detach(), expected)


def test_edited_stages_are_the_targets() -> None:
    def shift(index: int, feature: Tensor) -> Tensor:
        return feature + 5.0 if index == 2 else feature

    plain, edited = make_task(), make_task(edit=shift)
    x, _ = plain.batches(0)
    assert torch.equal(plain._targets(x)[1], edited._targets(x)[1])
    assert not torch.equal(plain._targets(x)[2], edited._targets(x)[2])


def test_without_a_feature_weight_the_student_learns_from_the_labels_alone() -> None:
    """``robustkd-t6`` has such a control: what the teacher says must not reach it."""

    def learned(weight: float, shift: float) -> Tensor:
        task = make_task(edit=lambda index, feature: feature + shift)
        task.recipe = FeatureRecipe(feature_weight=weight)
        task.step(0)
        return torch.cat([parameter.detach().flatten() for parameter in task.student.parameters()])

    assert torch.equal(learned(0.0, 0.0), learned(0.0, 5.0))
    assert not torch.equal(learned(1e-3, 0.0), learned(1e-3, 5.0))


def test_student_and_teacher_of_different_stage_sizes_are_refused() -> None:
    teacher, student = network("wrn-10-2", 0), network("wrn-10-1", 1)
    student.block2.layer[0].conv1.stride = (1, 1)  # type: ignore[union-attr, index]
    student.block2.layer[0].convShortcut.stride = (1, 1)  # type: ignore[union-attr, index]
    with pytest.raises(RecipeError) as caught:
        check_stages(teacher, student, 8)
    assert caught.value.code == "stages_incompatible"


def test_checking_stages_leaves_the_students_statistics_alone() -> None:
    student = network("wrn-10-1", 1).train()
    before = student.margin_norm(2).running_mean.clone()  # type: ignore[union-attr]
    check_stages(network("wrn-10-2", 0), student, 8)
    assert torch.equal(student.margin_norm(2).running_mean, before)  # type: ignore[arg-type]
    assert student.training
