"""What this machine supports, found out by trying it in a throw-away process.

python -I -m models.sandbox.level

A kernel's version says little: a container's own filter may forbid Landlock, gVisor has neither, and a
primitive that is entered without effect is worse than none. So the process enters the profile and then does
what the profile forbids.
"""

from __future__ import annotations

import functools
import json
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from models.sandbox import landlock
from models.sandbox.bounds import Bounds
from models.sandbox.profiles import PARSE, Primitive, confine, seal

_PATIENCE_S = 30.0
_ALL: tuple[Primitive, ...] = ("no_new_privs", "landlock", "seccomp")


@dataclass(frozen=True, slots=True)
class Level:
    """How well a process can be locked in here."""

    level: Literal["full", "degraded"]
    missing: tuple[Primitive, ...]
    landlock_version: int = 0
    """Of the kernel's interface; 0 if there is none."""

    def __str__(self) -> str:
        """Say it in a few words, for a report or a table."""
        return "full" if self.level == "full" else f"degraded (no {', no '.join(self.missing)})"


def level_of(missing: tuple[Primitive, ...], landlock_version: int = 0) -> Level:
    """Judge what was found missing."""
    return Level("degraded" if missing else "full", missing, landlock_version)


@functools.cache
def sandbox_level() -> Level:
    """Find out what this machine supports; asked once per process, takes about 0.1 s.

    A process that cannot even say what it found counts as one without any protection.
    """
    command = [sys.executable, "-I", "-m", "models.sandbox.level"]
    try:
        done = subprocess.run(command, capture_output=True, env={}, timeout=_PATIENCE_S, check=True)
        answer = json.loads(done.stdout)
        missing = tuple(name for name in _ALL if name in answer["missing"])
        return level_of(missing, int(answer["landlock_version"]))
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError):
        return level_of(_ALL)


def _try_it() -> dict[str, object]:
    """Enter the profile, then see whether it holds. This process is of no use afterwards."""
    version = landlock.version()
    missing: set[str] = {*confine(), *seal(PARSE, Bounds(file_bytes=1 << 20, open_files=64))}
    if _may_list(Path("/")):
        missing.add("landlock")
    if _may_open_socket():
        missing.add("seccomp")
    return {"missing": sorted(missing), "landlock_version": version}


def _may_list(folder: Path) -> bool:
    try:
        next(folder.iterdir(), None)
    except PermissionError:
        return False
    return True


def _may_open_socket() -> bool:
    try:
        socket.socket(socket.AF_UNIX).close()
    except PermissionError:
        return False
    return True


if __name__ == "__main__":
    json.dump(_try_it(), sys.stdout)
