"""The edit that detoxifies features: per stage, a bounded mask and a free replacement feature."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.recipes.robustkd import EditMode


class FeatureMask(nn.Module):
    """Edits stage outputs F: F + m f (``add``) or (1 - m) F + m f (``blend``), Eq. 7 and Eq. 15.

    The text of the paper has lost both formulas; which is which is open, so both are here. Masks and
    replacements have a stage output's shape (C, H, W): they know positions, so another input size needs
    others, and they must be trained under the very crops and flips that the distillation will use.
    """

    def __init__(self, means: Sequence[Tensor], *, threshold: float, mode: EditMode, first: int = 0) -> None:
        """Start with replacements at the mean features and masks at their bound.

        At the bound every replacement has a gradient from the first step on; under a mask of zero none has.

        Args:
            means: One mean clean stage output (C, H, W) per stage.
            threshold: Upper bound of the masks, in (0, 1].
            mode: How the two tensors edit a feature.
            first: First stage that is edited; those before it pass as they are.
        """
        super().__init__()
        self.threshold = threshold
        self.mode = mode
        self.first = first
        edited = means[first:]
        self.replacements = nn.ParameterList([nn.Parameter(mean.detach().clone().float()) for mean in edited])
        self.masks = nn.ParameterList(
            [nn.Parameter(torch.full_like(mean, threshold, dtype=torch.float32)) for mean in edited]
        )

    def forward(self, index: int, feature: Tensor) -> Tensor:
        """Return the edited output of stage ``index``.

        Args:
            index: Stage of the network, from 0; also where the first stages are not edited.
            feature: (B, C, H, W), the raw stage output.

        Raises:
            ValueError: If the feature has another size than the one the mask was trained at. Broadcasting
                would edit it all the same where the mask has one pixel.
        """
        if index < self.first:
            return feature
        mask: Tensor = self.masks[index - self.first]
        replacement: Tensor = self.replacements[index - self.first]
        if feature.shape[1:] != mask.shape:
            raise ValueError(f"Stage {index} is {tuple(feature.shape[1:])}, its mask {tuple(mask.shape)}.")
        offset = (mask * replacement).to(feature)
        if self.mode == "add":
            return feature + offset
        return feature * (1.0 - mask).to(feature) + offset

    @torch.no_grad()
    def clamp_(self) -> None:
        """Put every mask back into [0, threshold].

        In place on the parameter itself: binding the clamped tensor to the same name would leave the
        optimizer with a stale one, and the masks would stop training after the first step.
        """
        for mask in self.masks:
            mask.clamp_(0.0, self.threshold)
