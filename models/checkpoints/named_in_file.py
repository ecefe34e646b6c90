"""What a safetensors file says of itself in its header, as the students do that Proctor writes.

Text that anyone may have written. It stands in for what the user did not declare and the weights cannot
tell, is checked as a declaration would be, and whatever is not usable counts as not said.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

from models.recipes.architecture import MAX_INPUT_SIZE, Normalization

#: Longer text is no number and no triple; nothing longer is parsed.
_MOST_CHARACTERS = 200
_CHANNELS = 3


@dataclass(frozen=True, slots=True)
class NamedInFile:
    """What the header's metadata say, as far as it is usable."""

    architecture: str | None
    """Registry name; only compared with what the tensors are."""
    input_size: int | None
    """Side of the images in pixels."""
    normalization: Normalization | None


def named_in_file(metadata: Mapping[str, str]) -> NamedInFile:
    """Read the fields that ``save.save_student`` writes.

    Args:
        metadata: Of the header; empty for files that have none.
    """
    size = _parsed(metadata.get("input_size"))
    return NamedInFile(
        architecture=metadata.get("architecture"),
        input_size=size if type(size) is int and 1 <= size <= MAX_INPUT_SIZE else None,
        normalization=usable_normalization(_parsed(metadata.get("mean")), _parsed(metadata.get("std"))),
    )


def usable_normalization(mean: object, std: object) -> Normalization | None:
    """Return the normalization, or None unless both are three finite numbers of a sensible size."""
    means, deviations = _triple(mean), _triple(std)
    if means is None or deviations is None:
        return None
    if max(map(abs, means)) > 10 or not all(1e-3 <= one <= 10 for one in deviations):
        return None
    return Normalization(mean=means, std=deviations)


def _triple(value: object) -> tuple[float, float, float] | None:
    if not isinstance(value, list | tuple) or len(value) != _CHANNELS:
        return None
    if any(type(one) not in {int, float} or not math.isfinite(one) for one in value):
        return None
    first, second, third = (float(one) for one in value)
    return first, second, third


def _parsed(text: str | None) -> object:
    if text is None or len(text) > _MOST_CHARACTERS:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return None
