"""One monitor for every piece of a long command's work, and one way to stop them all."""

from __future__ import annotations

import hashlib
import json
import signal
import sys
from collections.abc import Callable, Container
from pathlib import Path

import torch

from models.engine.monitor import Monitor, ResumeState
from models.lab.monitor import FileMonitor
from models.lab.recipe_digest import document

#: Given the name of a piece of work and the recipes it is made of, returns who watches it, and a state it was
#: cut off at before.
Watch = Callable[[str, object], tuple[Monitor, ResumeState | None]]


class Watcher:
    """Gives every piece of work a monitor with a file to resume from; a signal stops whichever is running."""

    def __init__(self, folder: Path, fingerprint: str, device: torch.device) -> None:
        """Keep states in ``folder``.

        One of other data or pictures (``fingerprint``), of another device's type or of other recipes is no
        beginning.
        """
        self.folder, self.fingerprint, self.device = folder, fingerprint, device
        self.stopping = False
        self.monitors: dict[str, FileMonitor] = {}
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop)

    def watch(self, name: str, made_of: object) -> tuple[Monitor, ResumeState | None]:
        """Return the monitor of a piece of work, and where it was cut off before, if it was.

        Its name leaves defaults out (``recipe_digest.digest``), so the recipes are taken whole here: a state
        from before a default changed would else be gone on with, and its result kept under the new default.
        """
        sys.stderr.write(f"{name}\n")
        facts = json.dumps([self.fingerprint, self.device.type, document(made_of)], sort_keys=True)
        monitor = FileMonitor(self.folder / name, hashlib.sha256(facts.encode()).hexdigest())
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
