"""Pictures of triggers: what is stamped, and images before and after."""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from models.report.document import Picture
from models.triggers.base import Trigger

CHECKER_CELL = 2
#: Slate: white, black and gray stand out on it. On a light gray board a recovered light patch was not seen.
CHECKER_COLORS = ((0.50, 0.60, 0.72), (0.42, 0.52, 0.64))
EXAMPLES = 3
#: From here on nobody sees that an overlay is drawn a little stronger than it is.
OPAQUE = 0.995


def trigger_pictures(trigger: Trigger, images: Tensor, *, image_source: str) -> tuple[Picture, ...]:
    """Draw a trigger on a checkerboard and stamped on a few images.

    Args:
        trigger: What is drawn; its name becomes the pictures' group.
        images: uint8 (N, 3, H, W) of the trigger's size; a few are stamped, spread over the whole:
            archives are sorted by class, and the first would all look alike.
        image_source: What the images are, in the plural, for the caption.

    Returns:
        The pattern, then pairs of an image and its stamped copy.
    """
    examples = images[torch.linspace(0, len(images) - 1, EXAMPLES + 2).round().long()[1:-1]]
    stamped = trigger.stamp(examples)
    pictures = [Picture(trigger.name, "the trigger" + _where(trigger), _png(_on_checkerboard(trigger)))]
    for before, after in zip(examples, stamped, strict=True):
        pictures.append(Picture(trigger.name, _one_of(image_source), _png(before)))
        pictures.append(Picture(trigger.name, "the same, stamped", _png(after)))
    return tuple(pictures)


def _one_of(images: str) -> str:
    return images.removesuffix("es" if images.endswith("ches") else "s")


def _where(trigger: Trigger) -> str:
    """Say what the picture shows, and how much stronger than the trigger itself it is drawn."""
    if trigger.kind in {"additive", "rescaled"}:
        stretched = " before the image is stretched to full contrast" if trigger.kind == "rescaled" else ""
        levels = 255 * float((trigger.pattern * trigger.mask).abs().max())
        return (
            f", added{stretched} (gray is zero; drawn in full contrast, its largest change is {levels:.1f} "
            "of 255 levels)"
        )
    opacity = float(trigger.mask.max())
    if opacity >= OPAQUE:
        return " on a checkerboard"
    return f" on a checkerboard (drawn opaque, it is stamped with an opacity of {opacity:.0%} at most)"


def _on_checkerboard(trigger: Trigger) -> Tensor:
    """Return uint8 (3, H, W); a soft mask is drawn at full strength, or a 10 % overlay would be invisible."""
    height, width = trigger.size
    if trigger.kind in {"additive", "rescaled"}:
        change = trigger.pattern * trigger.mask
        scale = change.abs().max().clamp(min=1e-6)
        return ((0.5 + 0.5 * change / scale) * 255).round().to(torch.uint8)
    rows = torch.arange(height).view(-1, 1) // CHECKER_CELL
    columns = torch.arange(width).view(1, -1) // CHECKER_CELL
    light, dark = (torch.tensor(color).view(3, 1, 1) for color in CHECKER_COLORS)
    board = torch.where((rows + columns) % 2 == 0, light, dark)
    strength = trigger.mask / trigger.mask.max().clamp(min=1e-6)
    return (((1 - strength) * board + strength * trigger.pattern) * 255).round().to(torch.uint8)


def _png(image: Tensor) -> bytes:
    array = np.ascontiguousarray(image.permute(1, 2, 0).cpu().numpy())
    buffer = io.BytesIO()
    Image.fromarray(array, "RGB").save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
