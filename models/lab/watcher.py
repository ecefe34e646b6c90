"""One monitor for every piece of a long command's work, and one way to stop them all."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Container
from pathlib import Path

from models.engine.monitor import Monitor, ResumeState
from models.lab.monitor import FileMonitor

#: Given the name of a piece of work, returns who watches it, and a state it was cut off at before.
Watch = Callable[[str], tuple[Monitor, ResumeState | None]]


class Watcher:
    """Gives every piece of work a monitor with a file to resume from; a signal stops whichever is running."""

    def __init__(self, folder: Path, fingerprint: str) -> None:
        """Keep states in ``folder``; one of other data or pictures (``fingerprint``) is no beginning."""
        self.folder, self.fingerprint = folder, fingerprint
        self.stopping = False
        self.monitors: dict[str, FileMonitor] = {}
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop)

    def watch(self, name: str) -> tuple[Monitor, ResumeState | None]:
        """Return the monitor of a piece of work, and where it was cut off before, if it was."""
        sys.stderr.write(f"{name}\n")
        monitor = FileMonitor(self.folder / name, self.fingerprint)
        monitor.stopping = self.stopping
        self.monitors[name] = monitor
        return monitor, monitor.resume()

    def forget(self, finished: Container[str]) -> None:
        """Delete the states of what is finished."""
        for name, monitor in self.monitors.items():
            if name in finished:
                monitor.path.unlink(missing_ok=True)

    def _stop(self, number: int, frame: object) -> None:
        del number, frame
        self.stopping = True
        for monitor in self.monitors.values():
            monitor.stopping = True
