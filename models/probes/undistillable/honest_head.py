"""The control of N4: the same network with a last layer that was never made to mislead.

Whether students of a network end up worse than students of the labels says more about the length of the run
than about the network: those of a clean public ResNet-20, on CIFAR-10 over 20,000 images, lost 7 points at
temperature 4 and 13 at 20 (docs/results.md). So a twin learns from the same features through a last layer
that was fitted anew to the classes that the network names, at the spread of its answers: what is left between
the two students is what the network's own last layer does. A nasty teacher's features stay normal (Ma et al.,
ICLR 2021, section 4.4). Source: ours.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from models.checkpoints.load import Teacher
from models.engine.monitor import Monitor
from models.probes.portion import Portion
from models.probes.undistillable.head_refit import fit_head, spread
from models.probes.undistillable.outputs import teacher_outputs


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
        TrainingFailed: An answer is not finite (code ``non_finite``).
        Interrupted: The monitor asked to stop.
    """
    outputs = teacher_outputs(teacher.pixel_classifier(), images, Portion(monitor, 0, 0.5))
    weight, bias = fit_head(
        outputs.features, outputs.logits.argmax(1), teacher.spec.num_classes, Portion(monitor, 0.5, 1)
    )
    scale = spread(outputs.logits) / spread(outputs.features @ weight + bias)
    device = teacher.device
    return HonestHead((weight * scale).float().to(device), (bias * scale).float().to(device))
