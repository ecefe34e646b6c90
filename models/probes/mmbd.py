"""MM-BD: a backdoored class can be driven to an unusually large margin, without any data.

Wang et al., "MM-BD: Post-Training Detection of Backdoor Attacks with Arbitrary Backdoor Pattern Types Using a
Maximum Margin Statistic", IEEE S&P 2024. For every class c, r(c) is the largest value of
``logit_c - max_{k != c} logit_k`` over inputs in [0, 1]^d; one class that stands far above the others is the
likely target.

We depart from the paper in the search. It takes 30 starts, 300 steps of plain gradient ascent at rate 1e-2
and stops at a relative change of 1e-5, class by class. Here all classes and starts climb in one batch with
gradients of unit norm (plain steps crawl where the logits are small and jump where they are large), and after
a first leg only the best starts of each class go on: 40 % of the work, and on the four public CIFAR-10
checkpoints we tried both ways no other verdict. Classes climb independently, so where there are many, some
wait until others are done: memory does not grow with their number.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.engine.monitor import Monitor, raise_if_stopped
from models.errors import TrainingFailed
from models.probes.bounded_batches import images_per_batch
from models.probes.class_deviation import FEWEST_CLASSES, LEAST_SPREAD
from models.probes.portion import Portion
from models.recipes.probe_catalog import find_probe
from models.results.audit import ProbeResult

#: A best-to-second ratio of at least this is called conspicuous. On 12 public checkpoints the ratio was
#: >= 1.48 on backdoored and <= 1.34 on benign ones; 1.4 lies between and was chosen after seeing them. It is
#: a hint: no false-positive rate belongs to it.
CONSPICUOUS_RATIO = 1.4

#: Of the powers of two that float32 has in full, either way.
_EXPONENT = 126

#: Keeps logarithms and ratios of margins finite, and lies below any margin in float32.
LEAST_MARGIN = 1e-60

#: Inputs per forward pass, at most; fewer where they are large (``images_per_batch``). Larger batches gain
#: nothing on two cores and cost memory.
BATCH = 128

#: Pixels of the starts that climb at the same time: 1,024 of 32x32, 20 of 224x224.
PIXELS = 1_024 * 32 * 32

#: Length of the first and the last step, as a share of the cube's diagonal sqrt(d).
FIRST_STEP, LAST_STEP = 0.07, 0.009

#: The first leg is this share of all steps and takes all starts; then the best third of each class go on.
FIRST_LEG = 0.125


@dataclass(frozen=True)
class MarginScores:
    """What the margins say, none of it calibrated."""

    order: tuple[int, ...]
    """Classes by margin, the largest first."""
    log_ratio: float
    """log r(1) - log r(2)."""
    robust_z: float
    """(r(1) - median) / (1.4826 MAD)."""
    p_value: float
    """1 - F(r(1))^K with a Gamma distribution F fitted to the other classes, as in the paper."""


def margin_statistics(
    classifier: nn.Module,
    num_classes: int,
    input_size: int,
    *,
    restarts: int,
    steps: int,
    generator: torch.Generator,
    monitor: Monitor,
) -> ProbeResult:
    """Search each class's maximal margin and say which class stands out.

    Args:
        classifier: Takes pixels in [0, 1], (N, 3, S, S), and returns logits (N, K); in eval mode.
        num_classes: K.
        input_size: S, in pixels.
        restarts: Random starts per class.
        steps: Gradient steps of a start that is not dropped.
        generator: Source of the starts; its device is where the search runs.
        monitor: Asked before every step.

    Returns:
        ``class_scores`` are the margins r(c); ``statistic`` is log r(1) - log r(2).

    Raises:
        Interrupted: The monitor asked to stop.
        TrainingFailed: A logit is not finite (code ``non_finite``).
    """
    started = time.monotonic()
    margins = maximal_margins(
        classifier,
        num_classes,
        input_size,
        restarts=restarts,
        steps=steps,
        generator=generator,
        monitor=monitor,
    )
    if not bool(margins.isfinite().all()):
        raise TrainingFailed(
            "The network's logits are not finite.",
            code="non_finite",
            hint="The checkpoint is damaged, or its normalization or architecture is not the declared one.",
        )
    scores = score_margins(margins)
    return ProbeResult(
        probe="mmbd",
        summary=_summarize(scores),
        target_label=scores.order[0],
        statistic=scores.log_ratio,
        conspicuous=math.exp(scores.log_ratio) >= CONSPICUOUS_RATIO,
        class_scores=tuple(margins.tolist()),
        # Of two classes it was 0 whatever the network: a distribution was fitted to one value.
        p_value=scores.p_value if num_classes >= FEWEST_CLASSES else None,
        calibration_references=0,
        blind_to=find_probe("mmbd").blind_to,
        seconds=time.monotonic() - started,
    )


def _summarize(scores: MarginScores) -> str:
    ratio = math.exp(scores.log_ratio)
    above = f"; it lies {scores.robust_z:.1f} robust deviations above the median"
    return (
        f"Class {scores.order[0]} can be driven to {ratio:.2f} times the margin of the next class "
        f"({scores.order[1]}){above if len(scores.order) >= FEWEST_CLASSES else ''}. "
        f"That is {'' if ratio >= CONSPICUOUS_RATIO else 'not '}conspicuous "
        f"(mark: {CONSPICUOUS_RATIO}, uncalibrated)."
    )


def maximal_margins(
    classifier: nn.Module,
    num_classes: int,
    input_size: int,
    *,
    restarts: int,
    steps: int,
    generator: torch.Generator,
    monitor: Monitor,
) -> Tensor:
    """Climb from random inputs; return r, (K,) float64, the largest margin seen per class.

    Memory is that of the starts of ``PIXELS`` pixels, or of one class, and of a batch with gradients.
    """
    size, device = max(1, PIXELS // (restarts * input_size**2)), generator.device
    found = []
    for first in range(0, num_classes, size):
        end = min(first + size, num_classes)
        labels = torch.arange(first, end, device=device).repeat_interleave(restarts)
        inputs = torch.rand(len(labels), 3, input_size, input_size, generator=generator, device=device)
        span = Portion(monitor, first / num_classes, end / num_classes)
        found.append(_climb(classifier, inputs, labels, steps, span))
    return torch.cat(found).double().cpu()


def _climb(classifier: nn.Module, inputs: Tensor, labels: Tensor, steps: int, monitor: Monitor) -> Tensor:
    """Return the largest margin seen of consecutive classes, (C,), with equally many starts."""
    first = labels[0].clone()
    count = int(labels[-1] - first) + 1
    restarts = len(labels) // count
    best = torch.full((count,), -torch.inf, device=inputs.device)
    first_leg = _first_leg(steps)
    diagonal = math.sqrt(inputs[0].numel())
    margins = torch.empty(0, device=inputs.device)
    for step in range(steps):
        raise_if_stopped(monitor)
        if step == first_leg:
            chosen = _best_starts(margins.view(count, restarts), keep=_kept(restarts))
            inputs, labels = inputs[chosen], labels[chosen]
        length = diagonal * step_share(step, steps)
        inputs, margins = ascend(classifier, inputs, labels, length)
        best = best.scatter_reduce(0, labels - first, margins, "amax")
        monitor.progress(step + 1, steps, largest_margin=best.max().item())
    return best


def climbed_inputs(restarts: int, steps: int) -> int:
    """Return how many inputs the network sees for one class."""
    first = min(steps, _first_leg(steps))
    return first * restarts + (steps - first) * _kept(restarts)


def _first_leg(steps: int) -> int:
    return max(1, round(FIRST_LEG * steps))


def _kept(restarts: int) -> int:
    return math.ceil(restarts / 3)


def step_share(step: int, steps: int) -> float:
    """Return the length of a step as a share of the diagonal, from ``FIRST_STEP`` down to ``LAST_STEP``."""
    return float(FIRST_STEP * (LAST_STEP / FIRST_STEP) ** (step / max(1, steps - 1)))


def ascend(classifier: nn.Module, inputs: Tensor, labels: Tensor, length: float) -> tuple[Tensor, Tensor]:
    """Take one step of the given Euclidean length towards larger margins.

    Args:
        classifier: Takes pixels in [0, 1].
        inputs: (N, 3, S, S) in [0, 1].
        labels: int64 (N,), whose margins grow.
        length: Of the step.

    Returns:
        The new inputs, and the margins (N,) before the step.
    """
    moved, found = [], []
    size = min(BATCH, images_per_batch(inputs.shape[-1]))
    for start in range(0, len(inputs), size):
        part = inputs[start : start + size].detach().requires_grad_()
        margin = margins_of(classifier(part), labels[start : start + size])
        (gradient,) = torch.autograd.grad(margin, part, _ordinary(margin.detach()))
        moved.append((part.detach() + length * _unit(gradient)).clamp(0, 1))
        found.append(margin.detach())
    return torch.cat(moved), torch.cat(found)


def _ordinary(margins: Tensor) -> Tensor:
    """Return powers of two, (N,), that bring margins, (N,), to about 1.

    Only the direction of a gradient is used. On its way back through layers of huge activations the gradient
    of a tiny margin becomes zero, although no answer tells such a network from an ordinary one: nothing
    climbed then, and a planted backdoor was not detected. A power of two multiplies without rounding.
    """
    _, exponent = margins.frexp()
    powers: Tensor = torch.ones_like(margins).ldexp(-exponent.clamp(-_EXPONENT, _EXPONENT))
    return powers


def _unit(gradient: Tensor) -> Tensor:
    """Bring gradients, (N, 3, S, S), to norm 1, however large or small they are; zeros stay.

    A last layer times 1e20 changes no answer, but squares of its gradients are infinite: nothing climbed, and
    the class of a public backdoored checkpoint was missed. A power of two divides without rounding.
    """
    _, exponent = gradient.abs().amax((1, 2, 3), keepdim=True).frexp()
    scaled: Tensor = gradient.ldexp(-exponent.clamp(-_EXPONENT, _EXPONENT))
    norm: Tensor = scaled.flatten(1).norm(dim=1).clamp_min(1e-12)
    return scaled / norm.view(-1, 1, 1, 1)


def margins_of(logits: Tensor, labels: Tensor) -> Tensor:
    """Return ``logit_c - max_{k != c} logit_k``, (N,), of logits (N, K) and labels c, int64 (N,)."""
    rivals = logits.scatter(1, labels[:, None], -torch.inf).amax(1)
    return logits.gather(1, labels[:, None])[:, 0] - rivals


def _best_starts(margins: Tensor, keep: int) -> Tensor:
    """Choose the ``keep`` starts of largest margin in every class, as places in (C · starts,)."""
    offsets = torch.arange(len(margins), device=margins.device)[:, None] * margins.shape[1]
    return (margins.topk(keep, dim=1).indices + offsets).flatten()


def score_margins(margins: Tensor) -> MarginScores:
    """Score how far the largest of ``margins``, (K,), stands above the others.

    A margin that is not positive means that no input of that class was found; it counts as a thousandth of
    the largest, so that the ratio stays finite.
    """
    positive = margins.double().clamp_min(max(float(margins.max()) / 1000, LEAST_MARGIN))
    values, order = positive.sort(descending=True)
    deviation = 1.4826 * float((positive - positive.median()).abs().median())
    return MarginScores(
        order=tuple(order.tolist()),
        log_ratio=float(values[0].log() - values[1].log()),
        robust_z=float(values[0] - positive.median()) / max(deviation, LEAST_SPREAD * float(values[0])),
        p_value=_gamma_p_value(values),
    )


def _gamma_p_value(descending: Tensor) -> float:
    """Compare the largest value with the largest of K draws from a Gamma fitted to the other K - 1 values.

    The shape comes from Minka's closed form (within 1.5 % of the maximum-likelihood estimate).
    """
    others = descending[1:]
    spread = float((others.mean().log() - others.log().mean()).clamp_min(1e-6))
    shape = (3 - spread + math.sqrt((spread - 3) ** 2 + 24 * spread)) / (12 * spread)
    scaled = descending[0] * shape / others.mean()
    tail = float(torch.special.gammaincc(torch.tensor(shape, dtype=torch.float64), scaled))
    return -math.expm1(len(descending) * math.log1p(-min(tail, 1 - 1e-12)))
