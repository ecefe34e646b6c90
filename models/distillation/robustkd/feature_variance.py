"""The variance that RobustKD takes as the mark of a backdoor, and reduces."""

from __future__ import annotations

from torch import Tensor

from models.recipes.robustkd import VarianceAxis


def image_variance(feature: Tensor) -> Tensor:
    """Return each image's variance over channels and positions, biased.

    Args:
        feature: (B, C, H, W), a raw stage output.

    Returns:
        variance: (B,), float32.
    """
    return feature.float().flatten(1).var(dim=1, correction=0)


def variance_loss(feature: Tensor, axis: VarianceAxis) -> Tensor:
    """Return the mean variance of a batch of features (Eq. 8; the axis is not stated there).

    ``chw`` averages ``image_variance``, which is what the paper's Fig. 2 plots. ``batch`` averages each
    element's variance over the batch: a constant added to this stage cannot change it. One added to an
    earlier stage can, through the ReLUs behind, and so can a mask in ``blend``.

    Args:
        feature: (B, C, H, W), the edited output of the last distilled stage.
        axis: Over what the variance is taken.

    Returns:
        loss: a scalar, float32.
    """
    if axis == "chw":
        return image_variance(feature).mean()
    return feature.float().var(dim=0, correction=0).mean()
