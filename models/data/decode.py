"""From the bytes of one PNG or JPEG to pixels; everything else about the image is dropped."""

from __future__ import annotations

import io
import warnings

import numpy as np
import numpy.typing as npt
from PIL import Image

from models.data.codes import data_rejection
from models.data.png_file import PNG_SIGNATURE, PngFile, read_png
from models.errors import DataRejected

Pixels = npt.NDArray[np.uint8]

JPEG_SIGNATURE = b"\xff\xd8\xff"

#: Every scan of a progressive JPEG costs a pass over all its pixels and may be 12 bytes long: 64 kB would
#: take two seconds, 2 MiB a minute. Encoders write a dozen at most; a profile may hold some by chance.
_JPEG_SCAN, _MAX_SCANS = b"\xff\xda", 100

#: Eight bits a channel. Sixteen would be clipped, not scaled, by Pillow's conversion, and of colors the lower
#: eight are dropped.
EIGHT_BIT_MODES = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "CMYK"})


def decode_image(data: bytes, name: str, *, shortest_side: int, longest_side: int) -> Pixels:
    """Decode one image to three channels; transparency is dropped, as ImageFolder's loader does.

    A damaged PNG is refused. Of a JPEG that is damaged between its headers libjpeg makes what it can.

    Args:
        data: The whole file.
        name: For the error, safe to print.
        shortest_side: In pixels.
        longest_side: In pixels; checked before any pixel is decoded.

    Returns:
        uint8 (H, W, 3).

    Raises:
        DataRejected: ``image_unreadable`` or ``data_limit_exceeded``, naming the image.
    """
    scans = data.count(_JPEG_SCAN) if data.startswith(JPEG_SIGNATURE) else 0
    if scans > _MAX_SCANS:
        raise data_rejection(
            "data_limit_exceeded", f"{name} is drawn in {scans:,} scans; at most {_MAX_SCANS} are accepted."
        )
    try:
        png = read_png(data) if data.startswith(PNG_SIGNATURE) else None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of sizes that are refused below
            image = Image.open(io.BytesIO(data if png is None else png.plain), formats=("PNG", "JPEG"))
            width, height = image.size
            if max(width, height) > longest_side or min(width, height) < shortest_side:
                raise data_rejection(
                    "data_limit_exceeded",
                    f"{name} has {width} x {height} pixels; sides may be {shortest_side} to {longest_side}.",
                )
            if _is_other(image, png):
                raise data_rejection(
                    "image_unreadable",
                    f"{name} has more than one picture or more than 8 bits a channel.",
                )
            if png is not None and not png.is_whole:
                raise data_rejection("image_unreadable", f"{name} is damaged: not all of its rows are there.")
            return np.asarray(image.convert("RGB"))
    except (DataRejected, MemoryError):
        raise
    except Image.DecompressionBombError:
        raise data_rejection("data_limit_exceeded", f"{name} has hundreds of millions of pixels.") from None
    except Exception:  # whatever a decoder trips over, the image is what is wrong
        raise data_rejection("image_unreadable", f"{name} cannot be decoded as PNG or JPEG.") from None


def _is_other(image: Image.Image, png: PngFile | None) -> bool:
    """Whether this is no single picture of eight bits a channel."""
    if png is not None and (png.animated or png.depth > 8):
        return True
    return image.mode not in EIGHT_BIT_MODES or getattr(image, "n_frames", 1) != 1
