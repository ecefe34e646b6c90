"""Whether images have another size than the one that was assumed of a network."""

from __future__ import annotations

from app.client.api import Document


def other_size(teacher: Document, images: Document) -> str:
    """Say that all images have another size than the network that they were given for; empty otherwise.

    The weights of most networks fit any input size, so one is assumed. Behind the wrong one a network
    recognizes little, and everything that is measured on it means little: a digits teacher of 16 pixels, read
    as one of 32, was right on 17.8 % of its own test images instead of 99.7 %.

    Args:
        teacher: As uploaded, without a declared input size.
        images: As uploaded, clean ones.
    """
    architecture = (teacher.get("inspection") or {}).get("architecture") or {}
    side, sizes = architecture.get("input_size"), (images.get("inspection") or {}).get("sizes") or {}
    if side is None or len(sizes) != 1:
        return ""
    (size,) = sizes
    width, _, height = str(size).partition("x")
    if width != height or width == str(side):
        return ""
    return (
        f"All images are {size}, and the teacher is taken for a network of {side}x{side}, to which they are "
        f"resized. If it was trained on {size}, start again with --input-size {width}."
    )
