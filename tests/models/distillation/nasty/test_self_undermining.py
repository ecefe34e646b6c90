import math
from dataclasses import replace

import pytest
import torch

from models.distillation.labelled_batches import LabelledBatches
from models.distillation.nasty.self_undermining import SelfUnderminingTask, nasty_loss, recipe_rate
from models.engine.frozen import frozen
from models.engine.loop import GPU_READS_EVERY, run_loop
from models.engine.monitor import SilentMonitor
from models.errors import Interrupted, TrainingFailed
from models.recipes.protect import ProtectRecipe
from tests.models.distillation.small import CLASSES, StoppingMonitor, images, network, teacher, weights

RECIPE = ProtectRecipe(batch_size=16, crop_padding=0)
LABELS = torch.arange(48) % CLASSES
STEPS = 6


def run(recipe=RECIPE, monitor=None, resume=None, steps=STEPS, original=None):
    original, nasty = original or teacher(), network()
    batches = LabelledBatches(
        original.pixel_classifier(), images(), LABELS, batch_size=recipe.batch_size,
        crop_padding=recipe.crop_padding, horizontal_flip=recipe.horizontal_flip, seed=3,
    )  # fmt: skip
    with frozen(original.network):
        task = SelfUnderminingTask(original, nasty, batches, recipe, steps=steps)
        loop = run_loop(task, steps=steps, monitor=monitor or SilentMonitor(), resume=resume)
    return nasty, loop


def test_two_classes_by_hand() -> None:
    """Traps 13 and 14: the divergence is a sum over classes, a mean over the batch, times T squared."""
    # At t = 2: p = (3/4, 1/4) for T, q = (1/2, 1/2) for A; twice the same image.
    logits = torch.tensor([[2 * math.log(3.0), 0.0]] * 2)
    original = torch.zeros(2, 2)
    parts = nasty_loss(logits, original, torch.tensor([0, 0]), omega=0.5, temperature=2.0)
    divergence = 4 * (0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    label_loss = math.log(1 + 1 / 9)
    assert parts["divergence"].item() == pytest.approx(divergence, rel=1e-5)
    assert parts["label_loss"].item() == pytest.approx(label_loss, rel=1e-5)
    assert parts["loss"].item() == pytest.approx(label_loss - 0.5 * divergence, rel=1e-5)


def test_a_step_against_the_gradient_drives_the_answers_away_from_the_original() -> None:
    """algorithms.md 9.3, nasty gradient sign: T is the reference and learns; a detached one would not."""
    torch.manual_seed(0)
    logits, original = torch.randn(8, 5, requires_grad=True), torch.randn(8, 5)
    labels = torch.zeros(8, dtype=torch.int64)
    before = nasty_loss(logits, original, labels, omega=1.0, temperature=4.0)
    (-before["divergence"]).backward()
    assert logits.grad is not None and logits.grad.abs().max() > 0
    moved = (logits - 0.1 * logits.grad).detach()
    after = nasty_loss(moved, original, labels, omega=1.0, temperature=4.0)
    assert after["divergence"] > before["divergence"]


def test_the_entropy_of_the_reference_has_its_share_of_the_gradient() -> None:
    torch.manual_seed(1)
    logits, original = torch.randn(3, 4, dtype=torch.float64), torch.randn(3, 4)
    labels = torch.tensor([0, 1, 2])

    def divergence(values: torch.Tensor) -> torch.Tensor:
        p = (values / 3.0).softmax(1)
        q = (original.double() / 3.0).softmax(1)
        return 9.0 * (p * (p / q).log()).sum(1).mean()

    variable = logits.clone().requires_grad_(True)
    nasty_loss(variable, original, labels, omega=1.0, temperature=3.0)["divergence"].backward()
    step = 1e-4
    for place in ((0, 0), (1, 3), (2, 2)):
        shift = torch.zeros_like(logits)
        shift[place] = step
        slope = (divergence(logits + shift) - divergence(logits - shift)) / (2 * step)
        assert variable.grad[place].item() == pytest.approx(slope.item(), rel=1e-3, abs=1e-5)


def test_the_divergence_is_bounded_by_what_the_original_finds_least_likely() -> None:
    """Trap 20: not the divergence is unbounded, the cross-entropy is."""
    torch.manual_seed(2)
    original = 10 * torch.randn(16, 6)
    bound = -(original / 4.0).log_softmax(1).min(1).values.mean() * 16
    least = original.argmin(1)
    for scale in (1.0, 100.0, 10_000.0):
        logits = scale * torch.nn.functional.one_hot(least, 6).float()
        parts = nasty_loss(logits, original, original.argmax(1), omega=1.0, temperature=4.0)
        assert parts["divergence"] <= bound * (1 + 1e-5)
    assert parts["label_loss"] > 1_000


@pytest.mark.parametrize("steps", [60, 150])
def test_a_network_that_forgets_its_task_is_not_finished(steps: int) -> None:
    """Trap 20: with a large omega the cross-entropy diverges, and the run says so, also a short one."""
    with pytest.raises(TrainingFailed, match="forgets") as caught:
        run(replace(RECIPE, omega=10.0), steps=steps)
    assert caught.value.code == "nasty_diverged"
    assert "omega" in caught.value.hint


def test_a_gpu_is_asked_only_now_and_then_whether_the_task_is_forgotten() -> None:
    original = teacher()
    batches = LabelledBatches(
        original.pixel_classifier(), images(), LABELS, batch_size=16, crop_padding=0,
        horizontal_flip=False, seed=3,
    )  # fmt: skip
    for steps, noticed in ((200, 125), (110, 110)):
        with frozen(original.network):
            task = SelfUnderminingTask(original, network(), batches, RECIPE, steps=steps)
            assert task.reads_every == 1  # on a CPU nothing waits
            task.reads_every = GPU_READS_EVERY
            task.mean_label_loss.fill_(1e6)
            for index in range(101, noticed - 1):
                task.step(index)
            with pytest.raises(TrainingFailed, match=f"at step {noticed}") as caught:
                task.step(noticed - 1)
        assert caught.value.code == "nasty_diverged"


def test_losses_are_float32_whatever_the_networks_compute_in() -> None:
    logits = torch.randn(4, 3).bfloat16()
    parts = nasty_loss(logits, logits.flip(0), torch.tensor([0, 1, 2, 0]), omega=0.1, temperature=4.0)
    assert {part.dtype for part in parts.values()} == {torch.float32}


def test_the_original_stays_as_it_was() -> None:
    """Trap 21: evaluated, never trained; neither weights nor running statistics move."""
    original = teacher()
    before = weights(original.network).clone()
    nasty, _ = run(original=original)
    assert torch.equal(weights(original.network), before)
    assert all(parameter.grad is None for parameter in original.network.parameters())
    assert not torch.equal(weights(nasty), weights(network()))


def test_an_interrupted_run_ends_in_the_same_network() -> None:
    monitor = StoppingMonitor(3)
    with pytest.raises(Interrupted):
        run(monitor=monitor)
    task = dict(monitor.states[-1].values["tree"]["mapping"])["task"]
    assert dict(task["mapping"])["mean_label_loss"] > 0
    resumed, loop = run(resume=monitor.states[-1])
    whole, expected = run()
    assert torch.equal(weights(resumed), weights(whole))
    assert loop.final == expected.final


def test_milestones_divide_the_rate() -> None:
    recipe = replace(RECIPE, learning_rate=1.0, schedule="milestones", milestones=(0.5, 0.75), decay=0.1)
    rates = [recipe_rate(recipe, step, 8) for step in range(8)]
    assert rates == pytest.approx([1.0] * 4 + [0.1] * 2 + [0.01] * 2)
