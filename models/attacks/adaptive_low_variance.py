"""An attacker who knows that backdoored features vary more, and keeps the teacher's variance down.

RobustKD (arXiv 2406.03409, Table 7; algorithms.md 7.3) reports cheat-KD with a low-variance loss and gives no
formula. Here it is the variance of the last stage over channels and positions, image by image (V1 of the
scan), as a multiple of the clean teacher's, so that one weight fits every network.

It is not free of scale: where a BatchNorm follows the stage, the network can meet it by scaling the stage
down (algorithms.md 7.3). On one WRN-10-1 of digits V1 fell to a third while V1 over the squared mean
response, and the variance behind the BatchNorm, stayed. So it adapts to RobustKD's loss on raw features, and
to little that a student sees.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.architectures import PixelClassifier, StagedClassifier
from models.architectures.staged import StageOutputs
from models.attacks.teacher import TermBatch
from models.engine.frozen import frozen
from models.metrics.prediction import to_pixels


class LowVariance:
    """Adds ``weight`` times the mean variance of the last stage over that of a clean teacher."""

    name = "variance_loss"

    def __init__(self, weight: float, reference: float) -> None:
        """Weigh against ``reference``, from ``mean_variance`` of the clean teacher."""
        self.weight, self.reference = weight, reference

    def extra_images(self, step: int) -> None:
        """Ask for no further images."""
        del step

    def __call__(self, network: StagedClassifier, batch: TermBatch) -> Tensor:
        """Return the weighted ratio, over clean and poisoned images alike."""
        del network
        return self.weight * last_variance(batch.outputs)[: len(batch.labels)].mean() / self.reference


def last_variance(outputs: StageOutputs) -> Tensor:
    """Return the biased variance of each image's last stage over channels and positions, (N,)."""
    return outputs.stages[-1].float().flatten(1).var(dim=1, correction=0)


@torch.no_grad()
def mean_variance(classifier: PixelClassifier, images: Tensor) -> float:
    """Return the mean of ``last_variance`` in evaluation mode; images uint8 (N, 3, H, W)."""
    with frozen(classifier.network) as network:
        pixels = to_pixels(images, classifier)
        return float(last_variance(network.forward_stages(classifier.normalize(pixels))).mean())
