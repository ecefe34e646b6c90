"""The table of one of timm's networks, made from its name alone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from models.architectures import timm_networks
from models.checkpoints.codes import rejection
from models.checkpoints.library_table import describe, shapes_of
from models.errors import RecipeError
from models.recipes.architecture import MAX_INPUT_SIZE
from models.recipes.architecture_catalog import validate_name
from models.recipes.blueprints.timm import PREFIX

#: A weight takes at least so many bytes in a file: float16.
_LEAST_BYTES = 2
#: What a recipe calls otherwise than a checkpoint.
_CODES = {"input_size_unsupported": "architecture_mismatch"}


def load_library() -> None:
    """Import timm.

    Raises:
        CheckpointRejected: ``architecture_unavailable`` if it is not installed.
    """
    with _rejecting():
        timm_networks.library()


def table_of(
    architecture: str, input_size: int | None, *, tensors: int, materialized_bytes: int
) -> dict[str, Any]:
    """Describe a network as ``layouts.outside.OutsideFamily`` reads it.

    Args:
        architecture: ``timm-NAME``.
        input_size: Side of the images in pixels; None takes that of timm's configuration.
        tensors: The most tensors that a file may have.
        materialized_bytes: The most bytes that they may take.

    Raises:
        CheckpointRejected: ``architecture_unavailable``, ``architecture_unknown``, ``architecture_mismatch``
            (an input size that the network does not take) or ``limit_exceeded``.
    """
    with _rejecting():
        validate_name(architecture)
        known = timm_networks.configuration(architecture.removeprefix(PREFIX))
        size = input_size or known.input_size
        if size is None:
            raise rejection(
                "architecture_mismatch",
                f"timm's configuration of {architecture} is for images that are not square, or of more than "
                f"{MAX_INPUT_SIZE} pixels a side.",
                hint="Declare the input_size that the network was trained with.",
            )
        _require_room(shapes_of(architecture, size), tensors, materialized_bytes)
        return {
            "name": architecture,
            "entry": describe(architecture, size, [size]),
            "input_size": size,
            "fixed_size": known.fixed_size,
            "normalization": asdict(known.normalization),
        }


def _require_room(shapes: dict[str, list[int]], tensors: int, materialized_bytes: int) -> None:
    """Refuse a network of which no file could be accepted, before its costs are counted."""
    values = sum(map(math.prod, shapes.values()))
    if len(shapes) > tensors or values * _LEAST_BYTES > materialized_bytes:
        raise rejection(
            "limit_exceeded",
            f"This network has {len(shapes):,} tensors and {values:,} values; at most {tensors:,} tensors "
            f"and {materialized_bytes:,} bytes are accepted.",
            hint="Choose a smaller network; the operator can raise the limits.",
        )


@contextmanager
def _rejecting() -> Iterator[None]:
    try:
        yield
    except RecipeError as error:
        raise rejection(_CODES.get(error.code, error.code), error.detail, hint=error.hint) from None
