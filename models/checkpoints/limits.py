"""How much a checkpoint may ask for. Every limit fails closed."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from models.checkpoints.codes import rejection

#: Names of parameters and buffers. Dots and digits come from nested modules, hyphens from a few model zoos.
TENSOR_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,255}")

MEBIBYTE = 1024 * 1024
#: What any file may become, however small: a kilobyte that fills half a gibibyte is no checkpoint.
EXPANSION_FLOOR = 64 * MEBIBYTE
#: A twentieth of what one core reads.
_SLOWEST_BYTES_PER_S = 32 * MEBIBYTE


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one checkpoint. The defaults are far above any network in the registry.

    A WRN-40-2 has 9 MB, 200 tensors and a 40 kB pickle of 6,000 opcodes.
    """

    file_bytes: int = 256 * MEBIBYTE
    """Size of the upload."""
    pickle_bytes: int = 4 * MEBIBYTE
    """Size of each pickle: the tree of names, without the weights."""
    opcodes: int = 200_000
    """Pickle instructions."""
    memo_entries: int = 100_000
    """Values a pickle may remember."""
    tensors: int = 4_096
    """Tensors and storages in the file."""
    rank: int = 6
    """Dimensions of one tensor."""
    dimension: int = 2**31
    """Length of one dimension."""
    materialized_bytes: int = 512 * MEBIBYTE
    """Sum of all tensors of the state dict after shared and expanded storages are written out."""
    expansion: int = 4
    """How many times its size a file may become so, beyond ``EXPANSION_FLOOR``; tied weights double it."""
    nesting: int = 16
    """Containers inside containers."""
    header_bytes: int = MEBIBYTE
    """Size of a safetensors header."""
    cpu_s: int = 10
    """Processor time of the parser process."""
    wall_s: int = 120
    """Wall time of the parser process: far more than ``cpu_s``, since most of it passes in waiting for a busy
    machine. 3.4 MB took over 15 s where fifteen processes shared two cores."""
    open_files: int = 64
    """Descriptors of the parser process, which needs about five."""
    memory_bytes: int = 512 * MEBIBYTE
    """Memory of the parser process beyond its interpreter and twice the file."""

    def admitting(self, size_bytes: int) -> Limits:
        """Widen the limits to a file whose size somebody allowed already: the service bounds its uploads."""
        return replace(
            self,
            file_bytes=max(self.file_bytes, size_bytes),
            materialized_bytes=max(self.materialized_bytes, 2 * size_bytes),
            cpu_s=max(self.cpu_s, size_bytes // _SLOWEST_BYTES_PER_S),
            wall_s=max(self.wall_s, 3 * size_bytes // (2 * _SLOWEST_BYTES_PER_S)),
        )


def require_at_most(value: int, limit: int, what: str) -> None:
    """Refuse a file whose ``what`` is more than ``limit``.

    Raises:
        CheckpointRejected: ``limit_exceeded``.
    """
    if value > limit:
        raise rejection("limit_exceeded", f"The file's {what} is {value:,}; at most {limit:,} are accepted.")
