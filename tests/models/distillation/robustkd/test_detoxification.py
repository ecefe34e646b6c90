import pytest
import torch

from models.architectures import PixelClassifier, build
from models.distillation.labelled_batches import LabelledBatches
from models.distillation.robustkd.detoxification import DetoxificationTask, mean_stage_outputs
from models.distillation.robustkd.feature_mask import FeatureMask
from models.recipes.architecture import ArchitectureSpec, Normalization
from models.recipes.robustkd import EditMode, RobustKDRecipe


def make_task(mode: EditMode = "blend", learning_rate: float = 0.03) -> DetoxificationTask:
    torch.manual_seed(0)
    teacher = PixelClassifier(build(ArchitectureSpec("wrn-10-1", 4, 8)), Normalization())
    teacher.eval().requires_grad_(False)
    images = torch.randint(0, 256, (16, 3, 8, 8), dtype=torch.uint8)
    batches = LabelledBatches(
        teacher,
        images,
        torch.arange(16) % 4,
        batch_size=8,
        crop_padding=0,
        horizontal_flip=False,
        seed=0,
    )
    mask = FeatureMask(mean_stage_outputs(teacher, images), threshold=0.3, mode=mode)
    return DetoxificationTask(teacher, mask, batches, RobustKDRecipe(mask_learning_rate=learning_rate))


def test_replacements_start_at_the_mean_clean_feature() -> None:
    task = make_task()
    x = task.batches.images.float() / 255
    expected = task.teacher.network.forward_stages(x).stages[1].mean(dim=0)
    torch.testing.assert_close(task.mask.replacements[1].data, expected)


def test_many_clean_images_are_averaged_a_batch_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """All 10,000 that the recipe allows, in one pass of a WRN-28-4 at side 32, would take some ten GB."""
    task, sizes = make_task(), []
    expected = [replacement.data.clone() for replacement in task.mask.replacements]
    monkeypatch.setattr("models.distillation.robustkd.detoxification.BATCH_SIZE", 6)
    forward = task.teacher.network.forward_stages
    monkeypatch.setattr(
        task.teacher.network, "forward_stages", lambda x: (sizes.append(len(x)), forward(x))[1]
    )
    torch.testing.assert_close(mean_stage_outputs(task.teacher, task.batches.images), expected)
    assert sizes == [6, 6, 4]


@pytest.mark.parametrize("mode", ["add", "blend"])
def test_training_lowers_the_variance_without_giving_up_the_labels(mode: EditMode) -> None:
    task = make_task(mode, learning_rate=0.1)
    steps = [task.step(step) for step in range(20)]
    assert steps[-1]["variance"] < 0.5 * steps[0]["variance"]
    assert steps[-1]["label_loss"] < steps[0]["label_loss"] + 0.1


def test_trap_41_one_step_moves_the_edit_of_every_stage() -> None:
    task = make_task()
    before = [parameter.detach().clone() for parameter in task.mask.parameters()]
    task.step(0)
    assert all(not torch.equal(now, then) for now, then in zip(task.mask.parameters(), before, strict=True))


def test_trap_44_masks_stay_in_bounds_and_keep_training() -> None:
    task = make_task(learning_rate=0.1)
    seen = []
    for step in range(4):
        task.step(step)
        assert all(mask.min() >= 0.0 and mask.max() <= 0.3 for mask in task.mask.masks)
        seen.append(task.mask.masks[2].detach().clone())
    assert not torch.equal(seen[-1], seen[-2])


def test_trap_21_teacher_stays_as_it_was() -> None:
    task = make_task()
    before = {name: value.clone() for name, value in task.teacher.state_dict().items()}
    task.step(0)
    assert all(torch.equal(value, before[name]) for name, value in task.teacher.state_dict().items())
    assert all(parameter.grad is None for parameter in task.teacher.parameters())
