"""The control of N4: the same network with a last layer that was never made to mislead.

Whether students of a network end up worse than students of the labels says more about the length of the run
than about the network: those of a clean public ResNet-20, on CIFAR-10 over 20,000 images, lost 7 points at
temperature 4 and 13 at 20 (docs/results.md). So a twin learns from the same features through a last layer
that was fitted anew to the classes that the network names, at the spread of its answers: what is left between
the two students is what the network's own last layer does. A nasty teacher's features stay normal (Ma et al.,
ICLR 2021, section 4.4). Source: ours.

The control is only one if its layer names what the network names. The ridge of ``fit_head`` acts on features
as they are, and whoever made the weights can give one of them any size: a channel that is 1,000 everywhere
and that the last layer does not read changes no answer, and the head fitted beside it named one class for
everything. Its students were as bad as the misled ones, and a nasty network was spared. So where the first
fit falls short, the features are whitened and fitted again; if that falls short, too, there is no control.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from models.checkpoints.load import Teacher
from models.engine.monitor import Monitor
from models.errors import TrainingFailed
from models.probes.portion import Portion
from models.probes.undistillable.head_refit import fit_head, spread
from models.probes.undistillable.outputs import teacher_outputs

#: A head that names the network's class for a smaller share of the images is not the same network's.
LEAST_AGREEMENT = 0.9
#: Directions of less than this share of the largest variance hold rounding alone: features are float32.
_LEAST_VARIANCE = 1e-12


@dataclass(frozen=True, eq=False)
class HonestHead:
    """A linear layer in place of the network's last one."""

    weight: Tensor
    """(D, K), float32."""
    bias: Tensor
    """(K,), float32."""

    def __call__(self, features: Tensor) -> Tensor:
        """Return logits (N, K) of the last layer's inputs (N, D)."""
        return features @ self.weight + self.bias


def honest_head(teacher: Teacher, images: Tensor, monitor: Monitor) -> HonestHead:
    """Fit a last layer to what the network names these images, and give it the spread of its answers.

    Args:
        teacher: Frozen by the caller.
        images: uint8 (N, 3, S, S), those that students will learn from.
        monitor: Asked between batches and between rounds of the fit.

    Raises:
        TrainingFailed: An answer is not finite (code ``non_finite``), or no layer of these features names
            what the network names (``probe_failed``).
        Interrupted: The monitor asked to stop.
    """
    outputs = teacher_outputs(teacher.pixel_classifier(), images, Portion(monitor, 0, 0.5))
    features, named, classes = outputs.features, outputs.logits.argmax(1), teacher.spec.num_classes
    weight, bias = fit_head(features, named, classes, Portion(monitor, 0.5, 0.75))
    if _agreement(features @ weight + bias, named) < LEAST_AGREEMENT:
        mean, directions = whitening(features)
        weight, bias = fit_head((features - mean) @ directions, named, classes, Portion(monitor, 0.75, 1))
        weight = directions @ weight
        bias = bias - mean @ weight
    answers = features @ weight + bias
    agreement = _agreement(answers, named)
    if agreement < LEAST_AGREEMENT:
        raise TrainingFailed(
            f"A last layer fitted anew names the network's class on {agreement:.0%} of the images only, so "
            "there are no honest twins to compare with.",
            code="probe_failed",
        )
    scale = spread(outputs.logits) / spread(answers)
    device = teacher.device
    return HonestHead((weight * scale).float().to(device), (bias * scale).float().to(device))


def whitening(features: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean (D,) and directions (D, R) so that (features - mean) @ directions has unit covariance.

    Args:
        features: (N, D), float64, N at least 2. Constant features take no part: R is the rank that is left.
    """
    mean = features.mean(0)
    deviation = (features - mean).square().mean(0).sqrt()
    # First each by itself: beside one of 1e8 the others are below the rounding of the covariance.
    alone = torch.where(deviation > 1e-6 * mean.abs(), 1 / deviation, 0.0)
    scaled = (features - mean) * alone
    variances, axes = torch.linalg.eigh(scaled.T @ scaled / len(features))
    kept = variances > _LEAST_VARIANCE * variances[-1].clamp_min(_LEAST_VARIANCE)
    return mean, alone[:, None] * axes[:, kept] / variances[kept].sqrt()


def _agreement(logits: Tensor, named: Tensor) -> float:
    return float((logits.argmax(1) == named).double().mean())
