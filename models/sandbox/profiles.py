"""The two profiles, and the two steps in which a process enters them.

First ``confine``, as long as there is one thread: no new privileges, no capabilities, no files but those
named. Then, when all libraries are loaded and before the first untrusted byte, ``seal``: limits, and no
system calls but the harmless ones. In between, a library may start threads; Landlock covers the threads that
are started after it, the filter covers all.

======================  =====================================  ==========================================
..                      parse                                  train
======================  =====================================  ==========================================
loaded before sealing   NumPy, Pillow                          torch and the stages
files read              libraries, the upload                  libraries, the job's scratch folder
files written           the folder of the canonical file       the job's scratch folder
new threads             none                                   yes, of this process
processes, programs     none                                   none
network, sockets        none                                   none
signals                 to itself                              to itself
======================  =====================================  ==========================================
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from models.errors import ProctorError
from models.sandbox import kernel, landlock, seccomp
from models.sandbox.bounds import Bounds
from models.sandbox.paths import SINKS, libraries
from models.sandbox.syscalls import this_machine

Primitive = Literal["no_new_privs", "landlock", "seccomp"]
Mode = Literal["required", "degraded"]
"""``required``: touch nothing untrusted unless all is there. ``degraded``: use what there is, and say so."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What a process is going to do."""

    name: str
    threads: bool
    """Whether it starts threads once it is sealed."""


PARSE = Profile("parse", threads=False)
TRAIN = Profile("train", threads=True)


class SandboxUnavailable(ProctorError):
    """This machine lacks something without which nothing untrusted may be touched."""

    code = "sandbox_unavailable"

    def __init__(self, missing: Iterable[str]) -> None:
        """Name what is missing and the one setting that accepts it."""
        super().__init__(
            f"The sandbox cannot be entered: no {', no '.join(missing)}.",
            hint="Use a kernel and container that allow it (docs/threat-model.md), "
            "or accept the risk with PROCTOR_SANDBOX=degraded.",
        )


def confine(*, read: Iterable[Path] = (), write: Iterable[Path] = ()) -> tuple[Primitive, ...]:
    """Take away privileges and files. Call it before a library starts threads.

    Args:
        read: What may be read beside the libraries.
        write: Folders that may be written and read.

    Returns:
        What this machine lacks of it.
    """
    try:
        kernel.forbid_new_privileges()
    except OSError:
        return ("no_new_privs", "landlock")  # the kernel allows neither to who could gain privileges
    machine = this_machine()
    if machine is not None:
        kernel.drop_capabilities(machine.used["capset"])
    if _threads() > 1:  # the others would keep their files
        return ("landlock",)
    try:
        landlock.restrict(read=[*libraries(), *read], write=[*SINKS, *write])
    except OSError:
        return ("landlock",)
    return ()


def seal(profile: Profile, bounds: Bounds) -> tuple[Primitive, ...]:
    """Set the limits and filter system calls, in all threads. Call it before the first untrusted byte.

    Returns:
        What this machine lacks of it.
    """
    bounds.apply()
    machine = this_machine()
    if machine is None:
        return ("seccomp",)
    try:
        seccomp.install(machine, threads=profile.threads)
    except OSError:
        return ("seccomp",)
    return ()


def require(mode: Mode, missing: tuple[str, ...]) -> None:
    """Go no further if something is missing that must not be.

    Raises:
        SandboxUnavailable: ``mode`` is ``required`` and something is missing.
    """
    if mode == "required" and missing:
        raise SandboxUnavailable(missing)


def _threads() -> int:
    try:
        return sum(1 for _ in Path("/proc/self/task").iterdir())
    except OSError:
        return threading.active_count()
