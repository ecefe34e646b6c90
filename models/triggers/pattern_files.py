"""Published trigger patterns that exist only as pictures: read from a folder of the user, never shipped.

The pictures of the ABD experiments (algorithms.md 3.2) have no license. Whoever has them gives their folder;
without it a published name stands for a trigger of the same kind that is made here and named differently, as
``watermark_substitute`` for ``trojan_wm``, so that its numbers are never taken for the paper's.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from models.errors import DataRejected, RecipeError
from models.triggers.base import Trigger, TriggerKind
from models.triggers.catalog import known_triggers, make_trigger

#: The largest published one, of Blend, is 540 x 540.
MAX_SIDE_PIXELS = 1024
_BLEND_RATIO = 0.2


@dataclass(frozen=True)
class _Published:
    """One published trigger."""

    file: str
    kind: TriggerKind
    stand_in: str
    """Of the catalog. Of the same name if that is the published trigger itself, at any size."""


_PUBLISHED: MappingProxyType[str, _Published] = MappingProxyType(
    {
        "trojan_wm": _Published("trojan_wm.png", "additive", "watermark_substitute"),
        "trojan_8x8": _Published("trojan_8x8.png", "additive", "trojan_8x8_substitute"),
        "trojan_3x3": _Published("trojan_3x3.png", "additive", "trojan_3x3"),
        "blend": _Published("blend.png", "blend", "blend_substitute"),
        "sig": _Published("sig.png", "blend", "sig"),
        "l2_inv": _Published("l2_inv.png", "additive", "l2_inv_substitute"),
        "l0_inv": _Published("l0_inv.png", "replace", "l0_inv"),
        "smooth": _Published("smooth_cifar10.png", "rescaled", "smooth_substitute"),
        "smooth_gtsrb": _Published("smooth_gtsrb.png", "rescaled", "smooth_substitute"),
    }
)


def named_triggers() -> tuple[str, ...]:
    """Return every name ``find_trigger`` takes: the catalog's, and those of published pictures."""
    return (*known_triggers(), *(name for name in _PUBLISHED if name not in known_triggers()))


def stand_in(name: str) -> str:
    """Return the trigger of the catalog that a published name stands for without its picture.

    Any other name, and that of a published trigger which the catalog makes itself, is its own.
    """
    return _PUBLISHED[name].stand_in if name in _PUBLISHED else name


def picture_of(name: str) -> str | None:
    """Return the file that holds a published trigger's picture; None for a trigger that has none."""
    return _PUBLISHED[name].file if name in _PUBLISHED else None


def find_trigger(name: str, size: int, target_label: int, patterns: Path | None = None) -> Trigger:
    """Make a trigger by name, from its published picture where that is at hand.

    At the picture's own size it is taken as it is. At another size the three that are known exactly
    (``trojan_3x3``, ``sig``, ``l0_inv``) are made by the catalog, whose cells and stripes stay sharp; the
    others are resized bilinearly with antialiasing, which is how Blend's 540 x 540 comes to 32 x 32.

    Args:
        name: One of ``named_triggers()``.
        size: Side of the images in pixels.
        target_label: Class the attacker wants.
        patterns: Folder of the pictures; None, or one without this picture, gives the stand-in.

    Returns:
        A trigger whose own name says what it is: the published name, or the stand-in's.

    Raises:
        RecipeError: If the name is unknown (code ``trigger_unknown``).
        DataRejected: If the picture cannot be read (code ``trigger_image_invalid``).
    """
    if name not in named_triggers():
        raise RecipeError(
            f"There is no trigger named {name!r}.",
            code="trigger_unknown",
            hint=f"Known triggers: {', '.join(named_triggers())}.",
        )
    published = _PUBLISHED.get(name)
    if published is None or patterns is None or not (patterns / published.file).is_file():
        return make_trigger(stand_in(name), size, target_label)
    pattern = _read(patterns / published.file)
    if pattern.shape[1:] != (size, size):
        if published.stand_in == name:
            return make_trigger(name, size, target_label)
        pattern = _resized(pattern, size)
    return Trigger(name, published.kind, pattern, _mask(name, published.kind, size), target_label)


def _mask(name: str, kind: TriggerKind, size: int) -> Tensor:
    if kind == "replace":
        # Its picture is black where it replaces by black, so the place comes from the catalog (3.4).
        return make_trigger(name, size, 0).mask
    return torch.full((1, size, size), _BLEND_RATIO if kind == "blend" else 1.0)


def _read(path: Path) -> Tensor:
    """Return (3, H, W) in [0, 1]; gray pictures get three equal channels."""
    try:
        with Image.open(io.BytesIO(path.read_bytes()), formats=("PNG",)) as image:
            if max(image.size) > MAX_SIDE_PIXELS:
                raise _rejected(path, f"it is larger than {MAX_SIDE_PIXELS} pixels")
            pixels = np.asarray(image.convert("RGB"), dtype=np.float32)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise _rejected(path, "it does not decode as PNG") from error
    return torch.from_numpy(pixels / 255.0).permute(2, 0, 1).contiguous()


def _resized(pattern: Tensor, size: int) -> Tensor:
    resized = interpolate(
        pattern[None], size=(size, size), mode="bilinear", antialias=True, align_corners=False
    )
    return resized[0].clamp(0.0, 1.0)


def _rejected(path: Path, reason: str) -> DataRejected:
    return DataRejected(
        f"{path.name} cannot be used: {reason}.",
        code="trigger_image_invalid",
        hint="Give a folder of square RGB pictures as PNG.",
    )
