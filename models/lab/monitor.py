"""The lab's monitor: a line of progress, a stop by signal, and one file to resume from."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from models.engine.monitor import RESUME_FORMAT, ResumeState

_SAY_EVERY_S = 10.0


class FileMonitor:
    """Keeps a state in a file that is replaced as a whole, and says on stderr how far the work is."""

    def __init__(self, path: Path, fingerprint: str, *, every_s: float = 60.0) -> None:
        """Use ``path``.

        Args:
            path: Of the state; need not exist.
            fingerprint: Of recipe, data and device: a state with another one is no beginning of this work.
            every_s: How much work may be lost, in seconds.
        """
        self.path, self.fingerprint, self.every_s = path, fingerprint, every_s
        self.stopping = False
        self._kept_at = self._said_at = time.monotonic()

    def progress(self, done: int, total: int, **scalars: float) -> None:
        """Write a line, but not more often than anyone reads."""
        now = time.monotonic()
        if now - self._said_at < _SAY_EVERY_S:
            return
        self._said_at = now
        numbers = "  ".join(f"{name} {value:.4g}" for name, value in scalars.items())
        sys.stderr.write(f"{done:>8,} of {total:,} steps  {numbers}\n")

    def wants_checkpoint(self) -> bool:
        """Whether the last state is old, or the last chance has come."""
        return self.stopping or time.monotonic() - self._kept_at >= self.every_s

    def checkpoint(self, state: ResumeState) -> None:
        """Keep a state; it is on the disk when this returns."""
        metadata = {
            "fingerprint": self.fingerprint,
            "format": str(RESUME_FORMAT),
            "values": json.dumps(state.values),
        }
        # By process: two that share a folder may keep the same state at once, and would write into one file.
        partial = self.path.with_name(f"{self.path.name}.{os.getpid()}.partial")
        save_file(dict(state.tensors), partial, metadata=metadata)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(self.path)
        self._kept_at = time.monotonic()

    def resume(self) -> ResumeState | None:
        """Return the state of the same work, if a file holds one that this version reads."""
        if not self.path.is_file():
            return None
        try:
            with safe_open(self.path, framework="pt") as file:
                metadata = file.metadata() or {}
                named = metadata.get("fingerprint"), metadata.get("format")
                if named != (self.fingerprint, str(RESUME_FORMAT)):
                    return None
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        except SafetensorError:
            return None
        return ResumeState(tensors, json.loads(metadata["values"]))

    def should_stop(self) -> bool:
        """Whether a signal came."""
        return self.stopping
