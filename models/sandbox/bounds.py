"""How much this process may use from now on, enforced by the kernel (rlimits)."""

from __future__ import annotations

import resource
from dataclasses import dataclass
from pathlib import Path

_PAGE_BYTES = resource.getpagesize()


@dataclass(frozen=True, slots=True)
class Bounds:
    """Each may be lowered later, never raised.

    The number of processes is not bounded here: that limit counts all processes of a user, wherever they
    came from. The profiles let no process be started, and only ``TRAIN`` starts threads.
    """

    file_bytes: int
    """Longest file it may write; longer is EFBIG."""
    open_files: int
    """Descriptors; more is EMFILE."""
    memory_bytes: int | None = None
    """Address space on top of what is mapped already; beyond it, MemoryError."""
    cpu_s: int | None = None
    """Seconds of processor time; the process is killed beyond them."""

    def apply(self) -> None:
        """Set the limits. No core file is ever written."""
        if self.cpu_s is not None:
            _lower(resource.RLIMIT_CPU, self.cpu_s, self.cpu_s + 1)
        if self.memory_bytes is not None:
            mapped_bytes = int(Path("/proc/self/statm").read_text().split()[0]) * _PAGE_BYTES
            _lower(resource.RLIMIT_AS, mapped_bytes + self.memory_bytes)
        _lower(resource.RLIMIT_FSIZE, self.file_bytes)
        _lower(resource.RLIMIT_NOFILE, self.open_files)
        _lower(resource.RLIMIT_CORE, 0)


def _lower(which: int, soft: int, hard: int | None = None) -> None:
    """Set a limit, but never above what somebody set before."""
    ceiling = resource.getrlimit(which)[1]
    wanted = (soft, soft if hard is None else hard)
    if ceiling != resource.RLIM_INFINITY:
        wanted = (min(wanted[0], ceiling), min(wanted[1], ceiling))
    resource.setrlimit(which, wanted)
