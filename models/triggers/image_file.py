"""Triggers from and to PNG files: color is the pattern, alpha is the mask."""

from __future__ import annotations

import io
import warnings

import numpy as np
import torch
from PIL import Image

from models.data.decode import EIGHT_BIT_MODES
from models.data.png_file import PNG_SIGNATURE, read_png
from models.errors import DataRejected
from models.triggers.base import Trigger, TriggerKind

MAX_SIDE_PIXELS = 256
#: 256 x 256 x 4 bytes uncompressed are 262,144; a PNG of noise adds under 1 %, metadata is not our business.
MAX_SIZE_BYTES = 1 << 20


def load_trigger_png(
    data: bytes, *, kind: TriggerKind, opacity: float, target_label: int, name: str, size: int
) -> Trigger:
    """Read a trigger that a user supplied.

    The mask is alpha times ``opacity``; a PNG without alpha covers every pixel, unless it is additive,
    where black adds nothing anyway.

    Args:
        data: Bytes of the file; untrusted.
        kind: How it is applied.
        opacity: Factor on the mask, in [0, 1].
        target_label: Class the attacker wants.
        name: What to call it in reports.
        size: Side of the network's input; a picture of another size is resized.

    Raises:
        DataRejected: If the bytes are not a PNG of at most 256x256 pixels (code ``trigger_image_invalid``).
    """
    if not 0.0 < opacity <= 1.0:
        raise _rejected(f"opacity {opacity} is not in (0, 1]")
    if len(data) > MAX_SIZE_BYTES:
        raise _rejected(f"it has {len(data)} bytes, more than {MAX_SIZE_BYTES}")
    rgba = _decode(data)
    if rgba.shape[1:] != (size, size):
        rgba = _resize(rgba, size)
    return Trigger(name, kind, rgba[:3].contiguous(), rgba[3:] * opacity, target_label)


def save_trigger_png(trigger: Trigger) -> bytes:
    """Return the trigger as an RGBA PNG that ``load_trigger_png`` reads back at the same size.

    A mask that differs by channel is drawn by its largest channel; negative values of an additive pattern
    are drawn black.
    """
    pattern = trigger.pattern.clamp(0.0, 1.0)
    rgba = torch.cat([pattern, trigger.mask.amax(dim=0, keepdim=True)])
    levels = (rgba * 255.0).round().to(torch.uint8).permute(1, 2, 0).cpu().contiguous().numpy()
    buffer = io.BytesIO()
    Image.fromarray(levels).save(buffer, format="PNG")
    return buffer.getvalue()


def _decode(data: bytes) -> torch.Tensor:
    """Return (4, H, W) in [0, 1]; the size is known from the header before a pixel is decoded.

    Rows that are missing would be painted black, and be a part of the trigger (``models.data.png_file``).
    """
    if not data.startswith(PNG_SIGNATURE):
        raise _rejected("it is not a PNG")
    try:
        png = read_png(data)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with Image.open(io.BytesIO(png.plain), formats=("PNG",)) as image:
                if max(image.size) > MAX_SIDE_PIXELS:
                    raise _rejected(f"it is {image.size[0]}x{image.size[1]}, larger than {MAX_SIDE_PIXELS}")
                if image.mode not in EIGHT_BIT_MODES or png.animated:
                    raise _rejected("it is animated, or gray in 16 bits, of which 8 would be lost")
                if not png.is_whole:
                    raise _rejected("it is damaged: not all of its rows are there")
                pixels = np.asarray(image.convert("RGBA"), dtype=np.float32)
    except (DataRejected, MemoryError):
        raise
    except Exception as error:  # whatever a decoder trips over, the image is what is wrong
        raise _rejected("it does not decode as PNG") from error
    return torch.from_numpy(pixels / 255.0).permute(2, 0, 1)


def _resize(rgba: torch.Tensor, size: int) -> torch.Tensor:
    """Resize with antialiasing; color is weighted by alpha so that hidden color does not bleed in."""
    alpha = rgba[3:]
    stacked = torch.cat([rgba[:3] * alpha, alpha])[None]
    resized = torch.nn.functional.interpolate(
        stacked, size=(size, size), mode="bilinear", antialias=True, align_corners=False
    )[0]
    color = resized[:3] / resized[3:].clamp(min=1e-6)
    return torch.cat([color, resized[3:]]).clamp(0.0, 1.0)


def _rejected(reason: str) -> DataRejected:
    return DataRejected(
        f"The trigger image cannot be used: {reason}.",
        code="trigger_image_invalid",
        hint="Give an RGBA PNG of at most 256x256 pixels; opaque pixels are the trigger.",
    )
