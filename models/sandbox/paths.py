"""Which files Python and its libraries read long after they were started."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_PACKAGE_FOLDERS = ("site-packages", "dist-packages")
_SYSTEM = (
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/share/fonts",
    "/usr/share/zoneinfo",
    "/etc/ld.so.cache",
    "/etc/localtime",
    # How many processors and how much memory there are: OpenMP, PyTorch and glibc ask.
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/self",
    "/dev/urandom",
    "/dev/random",
    "/dev/zero",
)

#: Writing here is like writing nowhere.
SINKS = (Path("/dev/null"),)


def accelerator() -> tuple[list[Path], list[Path]]:
    """List what CUDA reads, and the device files it reads and writes. Not tried on a machine that has one."""
    searched = filter(None, os.environ.get("LD_LIBRARY_PATH", "").split(":"))
    facts = ("/proc/driver/nvidia", "/sys/bus/pci", "/sys/devices", "/sys/module/nvidia", "/usr/local/cuda")
    return [*map(Path, searched), *map(Path, facts)], sorted(Path("/dev").glob("nvidia*"))


def libraries() -> list[Path]:
    """List the folders and files that every profile may read: code, shared libraries, facts of the machine.

    Of a checkout that is on the import path, only the packages themselves: what lies beside them may be
    anything.
    """
    prefixes = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}
    installed = [path for path in map(Path, sys.path) if path.name in _PACKAGE_FOLDERS]
    ours = Path(__file__).parents[2]
    packages = [ours / name for name in ("models", "worker", "app")]
    # A prefix of "/usr" or "/opt/python" holds programs and libraries; one of "/" would hold everything.
    return [
        *(path for path in map(Path, sorted(prefixes)) if path != Path("/")),
        *installed,
        *packages,
        *map(Path, _SYSTEM),
    ]
