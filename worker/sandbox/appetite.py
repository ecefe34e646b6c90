"""What the kernel has no limit for, watched from outside: the sum of a job's files, and its threads."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from worker.endings import Ending, failed

#: How often it is looked at.
LOOK_S = 1.0
#: A folder of so many entries is not a job's; each costs an inode, whatever its size.
MAX_ENTRIES = 20_000
#: PyTorch starts about two for each core, OpenBLAS one.
MAX_THREADS = 1024


class Appetite:
    """Looks at one process and its folder now and then."""

    def __init__(self, pid: int, folder: Path, limit_bytes: int) -> None:
        """Watch process ``pid``, whose files in ``folder`` may have ``limit_bytes`` together."""
        self._pid = pid
        self._folder = folder
        self._limit_bytes = limit_bytes
        self._looked_at = time.monotonic()

    def excess(self) -> Ending | None:
        """Return how the job ends if it takes too much; None if not, or if it is too soon to look again."""
        now = time.monotonic()
        if now - self._looked_at < LOOK_S:
            return None
        self._looked_at = now
        size_bytes, entries = measure(self._folder)
        if size_bytes > self._limit_bytes or entries > MAX_ENTRIES:
            return failed(
                "disk_limit",
                f"The job's files grew to {size_bytes:,} bytes in {entries:,} files; "
                f"{self._limit_bytes:,} bytes and {MAX_ENTRIES:,} files are allowed.",
                "Choose a smaller budget in the recipe, or raise PROCTOR_MAX_SCRATCH_BYTES.",
            )
        if count_threads(self._pid) > MAX_THREADS:
            return failed(
                "thread_limit",
                f"The job's process started more than {MAX_THREADS:,} threads.",
                "Report it with the job's id.",
            )
        return None


def measure(folder: Path) -> tuple[int, int]:
    """Add up the space that files take and count them; stop counting beyond ``MAX_ENTRIES``.

    The process makes and deletes files meanwhile, so anything may vanish between two calls. No link is
    followed.
    """
    size_bytes, entries, folders = 0, 0, [str(folder)]
    while folders:
        try:
            with os.scandir(folders.pop()) as found:
                for entry in found:
                    entries += 1
                    if entries > MAX_ENTRIES:
                        return size_bytes, entries
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                        continue
                    with contextlib.suppress(FileNotFoundError):
                        size_bytes += entry.stat(follow_symlinks=False).st_blocks * 512
        except OSError:
            continue
    return size_bytes, entries


def count_threads(pid: int) -> int:
    """Count a process's threads; 0 if it has none any more."""
    try:
        status = Path(f"/proc/{pid}/status").read_text("ascii", "replace")
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("Threads:")), 0)
