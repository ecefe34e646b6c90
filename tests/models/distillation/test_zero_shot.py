from dataclasses import replace
from functools import cache

import pytest
import torch

from models.architectures.wide_resnet import WideResNet
from models.distillation.distilled import Distilled
from models.distillation.losses import element_divergence
from models.distillation.zero_shot import ZsktTask, distill_zskt
from models.engine.frozen import frozen
from models.engine.monitor import Monitor, ResumeState, SilentMonitor
from models.errors import Interrupted
from models.recipes.abd import AbdRecipe, RetrospectionRecipe, VaccineRecipe
from models.recipes.zskt import ZsktRecipe
from tests.models.distillation.small import CLASSES, StoppingMonitor, network, teacher, weights


class Halved(WideResNet):
    """Halves the image before the first stage."""

    def stem(self, x: torch.Tensor) -> torch.Tensor:
        return super().stem(x)[..., ::2, ::2]


RECIPE = ZsktRecipe(pseudo_batches=5, batch_size=16, student_steps=2, generator_width=8, noise_size=8)
ABD = AbdRecipe(
    VaccineRecipe(members=2, selection_batches=0),
    RetrospectionRecipe(run="always", share=0.2, images=16, rounds=1, gradient="implicit", sweeps=2),
)


def distill(
    defense: AbdRecipe | None = None,
    monitor: Monitor | None = None,
    resume: ResumeState | None = None,
    student: str = "wrn-10-1",
) -> Distilled:
    return distill_zskt(
        teacher(),
        network(student),
        RECIPE,
        defense=defense,
        seed=7,
        monitor=monitor or SilentMonitor(),
        resume=resume,
    )


@cache
def defended() -> Distilled:
    return distill(ABD)


@pytest.mark.parametrize("stop_after", [2, 5])
def test_an_interrupted_abd_run_ends_in_the_same_student(stop_after: int) -> None:
    whole, monitor = defended(), StoppingMonitor(stop_after)
    with pytest.raises(Interrupted):
        distill(ABD, monitor)
    resumed = distill(ABD, resume=monitor.states[-1])
    assert torch.equal(weights(resumed.network), weights(whole.network))
    assert resumed.decisions == whole.decisions


def test_images_seen_count_every_student_step() -> None:
    assert distill().images_seen == 5 * 2 * 16


def test_the_generator_moves_towards_disagreement() -> None:  # trap 15
    suspect = teacher()
    recipe = replace(RECIPE, generator_learning_rate=1e-2)
    with frozen(suspect.network):
        task = ZsktTask(suspect, network(), recipe, seed=0)
        task.fast = False
        noise = task._noise(16, "noise")
        student = task.student.train()

        def disagreement() -> float:
            with torch.no_grad():
                x = task.generator(noise)
                return element_divergence(suspect.network(x), student(x)).item()

        before = disagreement()
        for _ in range(5):
            task._generator_step(noise, 0)
        assert disagreement() > before


def test_a_generator_step_leaves_the_student_without_gradients() -> None:
    suspect = teacher()
    with frozen(suspect.network):
        task = ZsktTask(suspect, network(), RECIPE, seed=0)
        task._generator_step(task._noise(16, "noise"), 0)
    assert all(p.grad is None and p.requires_grad for p in task.student.parameters())


def test_attention_is_left_out_where_stages_differ_in_size() -> None:
    suspect = teacher()
    with frozen(suspect.network):
        assert ZsktTask(suspect, network(), RECIPE, seed=0).attends
        assert not ZsktTask(suspect, Halved(10, 1, CLASSES), RECIPE, seed=0).attends


def test_looking_at_pseudo_images_does_not_move_the_generator() -> None:
    suspect = teacher()
    with frozen(suspect.network):
        task = ZsktTask(suspect, network(), RECIPE, seed=0)
        before = weights(task.generator)  # type: ignore[arg-type]
        first = task.pseudo_images(20, "looking")
        assert torch.equal(first, task.pseudo_images(20, "looking"))
    assert torch.equal(weights(task.generator), before)  # type: ignore[arg-type]


def test_the_loss_outlives_the_next_call_of_the_compiled_function() -> None:
    """As with CUDA graphs, whose outputs lie where the next replay writes its own."""
    suspect = teacher()
    with frozen(suspect.network):
        task = ZsktTask(suspect, network(), RECIPE, seed=0)
        written: list[torch.Tensor] = []
        plain = task.student_loss

        def replayed(
            x: torch.Tensor, target: torch.Tensor, maps: list[torch.Tensor]
        ) -> tuple[torch.Tensor, torch.Tensor]:
            for output in written:
                output.detach().fill_(torch.nan)
            written[:] = plain(x, target, maps)
            return written[0], written[1]

        task.student_loss = replayed
        told = task.step(0)
        task.step(1)
    assert all(value.isfinite() for value in told.values())
