import pytest
import torch
from torch import Tensor

from models.architectures import PixelClassifier, build
from models.distillation.labelled_batches import LabelledBatches
from models.distillation.robustkd.canaries import CanaryTask, make_canaries
from models.engine.loop import run_loop
from models.engine.monitor import SilentMonitor
from models.metrics import attack_success
from models.recipes.architecture import ArchitectureSpec, Normalization
from models.triggers import known_triggers, make_trigger

SIZE = 16


def colored(count: int = 64) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, SIZE, SIZE), generator=generator, dtype=torch.uint8)


def labels(count: int = 64) -> Tensor:
    return torch.arange(count) % 4


def make_task(count: int = 3, steps: int = 60, batch_size: int = 32) -> CanaryTask:
    torch.manual_seed(0)
    copy = PixelClassifier(
        build(ArchitectureSpec("wrn-10-1", 4, SIZE)), Normalization((0.4,) * 3, (0.3,) * 3)
    )
    batches = LabelledBatches(
        copy, colored(), labels(), batch_size=batch_size, crop_padding=0, horizontal_flip=False, seed=0
    )
    return CanaryTask(copy, make_canaries(count, colored(), labels(), seed=1), batches, steps=steps)


def test_families_are_patch_blend_and_additive_with_targets_of_their_own() -> None:
    canaries = make_canaries(3, colored(), labels(), seed=0)
    assert [one.kind for one in canaries] == ["replace", "blend", "additive"]
    assert len({one.target_label for one in canaries}) == 3


def test_targets_are_classes_that_occur() -> None:
    few = torch.tensor([5, 7] * 32)
    assert {one.target_label for one in make_canaries(3, colored(), few, seed=0)} == {5, 7}


def test_another_seed_draws_other_canaries() -> None:
    one, two = make_canaries(3, colored(), labels(), seed=0), make_canaries(3, colored(), labels(), seed=1)
    assert all(not torch.equal(a.pattern, b.pattern) for a, b in zip(one, two, strict=True))


def test_same_seed_draws_the_same() -> None:
    one, two = make_canaries(3, colored(), labels(), seed=4), make_canaries(3, colored(), labels(), seed=4)
    assert all(torch.equal(a.pattern, b.pattern) for a, b in zip(one, two, strict=True))


def test_no_canary_is_in_the_catalog() -> None:
    """The rule of the house: what a defense is judged by must not have tuned it."""
    catalog = [make_trigger(name, SIZE, 0) for name in known_triggers()]
    for canary in make_canaries(3, colored(), labels(), seed=0):
        stamped = canary.stamp(colored())
        assert not any(torch.equal(stamped, trigger.stamp(colored())) for trigger in catalog)


def test_canaries_on_gray_images_are_gray() -> None:
    gray = colored()[:, :1].expand(-1, 3, -1, -1)
    for canary in make_canaries(3, gray, labels(), seed=0):
        assert torch.equal(canary.pattern[0], canary.pattern[2])
    assert not torch.equal(*make_canaries(1, colored(), labels(), seed=0)[0].pattern[:2])


@pytest.mark.parametrize("size", [8, 16, 33])
@pytest.mark.parametrize("seed", range(5))
def test_every_canary_changes_images_of_any_size(size: int, seed: int) -> None:
    images = torch.full((4, 3, size, size), 128, dtype=torch.uint8)
    for canary in make_canaries(3, images, labels(4), seed=seed):
        assert not torch.equal(canary.stamp(images), images)


def test_a_quarter_of_each_batch_carries_canaries_by_turns() -> None:
    task = make_task(batch_size=32)
    plain, before = task.batches(0)
    x, after = task.stamped(0)
    changed = (x != plain).flatten(1).any(dim=1)
    assert changed.nonzero().flatten().tolist() == list(range(8))
    targets = [one.target_label for one in task.canaries]
    assert after[:8].tolist() == [targets[turn % 3] for turn in range(8)]
    assert torch.equal(after[8:], before[8:])


def test_batches_smaller_than_the_number_of_canaries_reach_them_all() -> None:
    task = make_task(batch_size=2)
    seen = {task.stamped(step)[1][0].item() for step in range(3)}
    assert seen == {one.target_label for one in task.canaries}


def test_trap_6_canaries_are_stamped_after_the_crop() -> None:
    task = make_task(count=1)
    task.batches.padding = 4
    x, _ = task.stamped(0)
    canary = task.canaries[0]
    inside = (canary.mask > 0).expand(3, -1, -1)
    pixels = task.copy.denormalize(x[:8])
    torch.testing.assert_close(pixels[:, inside], canary.pattern[inside].expand(8, -1))


def test_canaries_take() -> None:
    task = make_task(steps=120)
    brightness = (40 + 50 * labels()).to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, SIZE, SIZE)
    task.batches.images = brightness.contiguous()
    run_loop(task, steps=120, monitor=SilentMonitor())
    for canary in task.canaries:
        assert attack_success(task.copy, task.batches.images, labels(), canary).value > 0.8
