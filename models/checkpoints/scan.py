"""Reading an untrusted checkpoint into NumPy arrays. No torch import anywhere below this module."""

from __future__ import annotations

import mmap
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from models.checkpoints.codes import printable, rejection
from models.checkpoints.containers import OpenedCheckpoint, open_checkpoint
from models.checkpoints.digest import Digester
from models.checkpoints.ignored_payload import warn_of_payload
from models.checkpoints.limits import EXPANSION_FLOOR, Limits, require_at_most
from models.checkpoints.named_in_file import NamedInFile, named_in_file
from models.checkpoints.select_state_dict import SelectedStateDict, select_state_dict
from models.checkpoints.weights import WeightTensor, materialize
from models.results.inspection import CheckpointFormat

_MAX_DROPPED_NAMES = 50


@dataclass(frozen=True, slots=True)
class ScannedCheckpoint:
    """The weights of an accepted file, and what was found around them."""

    format: CheckpointFormat
    size_bytes: int
    sha256: str
    """Of the file's bytes."""
    tensors: dict[str, WeightTensor]
    """In file order, names without wrapper prefixes; all finite."""
    state_dict_key: str | None
    stripped_prefix: str | None
    dropped: tuple[str, ...]
    subnormals: int
    warnings: tuple[str, ...]
    named: NamedInFile
    """What the file says of itself."""

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every tensor by name."""
        return {name: tuple(weight.array.shape) for name, weight in self.tensors.items()}

    @property
    def dtypes(self) -> dict[str, int]:
        """Number of tensors per data type, as stored."""
        return dict(Counter(weight.dtype.name for weight in self.tensors.values()))


def scan_checkpoint(
    path: Path,
    *,
    limits: Limits | None = None,
    state_dict_key: str | None = None,
    digester: Digester | None = None,
) -> ScannedCheckpoint:
    """Read the state dict of a torch zip, torch legacy or safetensors file.

    Args:
        path: A local file that nobody changes while it is read.
        limits: Bounds on everything the file may ask for; None takes the defaults.
        state_dict_key: Which entry is the model, when there are several.
        digester: Hashes the file's bytes; None does so before they are read.

    Raises:
        CheckpointRejected: With one of ``codes.CODES``.
    """
    limits = limits or Limits()
    with path.open("rb") as file:
        size_bytes = file.seek(0, 2)
        require_at_most(size_bytes, limits.file_bytes, "size in bytes")
        if not size_bytes:
            raise rejection("empty_file", "The file is empty.")
        view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    sha256 = (digester or Digester()).begin([view])
    opened = open_checkpoint(view, limits)
    selected = select_state_dict(opened.root, limits, key=state_dict_key)
    most_bytes = min(limits.materialized_bytes, EXPANSION_FLOOR + limits.expansion * size_bytes)
    tensors, subnormals = _read_weights(opened, selected, most_bytes)
    warnings = list(selected.warnings)
    if state_dict_key is None:
        warnings += warn_of_payload(opened, selected)
    if subnormals:
        warnings.append(
            f"{subnormals:,} weights are smaller than 1.2e-38. They are kept: they slow the network down, "
            "and arithmetic that takes them for zero may compute another network."
        )
    return ScannedCheckpoint(
        format=opened.format,
        size_bytes=size_bytes,
        sha256=sha256(),
        tensors=tensors,
        state_dict_key=selected.key,
        stripped_prefix=selected.stripped_prefix,
        dropped=_shortened(selected.dropped + opened.inert),
        subnormals=subnormals,
        warnings=tuple(warnings),
        named=named_in_file(opened.metadata),
    )


def _read_weights(
    opened: OpenedCheckpoint, selected: SelectedStateDict, most_bytes: int
) -> tuple[dict[str, WeightTensor], int]:
    total = sum(spec.size_bytes for spec in selected.tensors.values())
    require_at_most(total, most_bytes, "weights, in bytes once written out,")
    tensors: dict[str, WeightTensor] = {}
    not_finite = subnormals = 0
    first = ""
    for name, spec in selected.tensors.items():
        made = materialize(spec, opened.storages[spec.storage.key])
        first = first or (name if made.not_finite else "")
        not_finite += made.not_finite
        subnormals += made.subnormals
        tensors[name] = made.weight
    if not_finite:
        raise rejection(
            "not_finite", f"NaN or infinite weights: {not_finite:,}, the first in {printable(first)}."
        )
    return tensors, subnormals


def _shortened(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(names) <= _MAX_DROPPED_NAMES:
        return names
    return (*names[:_MAX_DROPPED_NAMES], f"and {len(names) - _MAX_DROPPED_NAMES} more")
