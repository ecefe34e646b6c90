"""Landlock: from now on, the only files are those named here.

Applies to the calling thread and those it starts, so it must come before any library starts threads.
Descriptors that are open already stay usable. What Landlock does not judge (looking up names and sizes,
attributes) is left to the filter of system calls, or is harmless.
"""

from __future__ import annotations

import ctypes
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from models.sandbox import kernel

#: The same numbers on every machine.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION = 1
_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_FOLDER = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_FOLDER, _REMOVE_FILE = 1 << 4, 1 << 5
_MAKE_FOLDER, _MAKE_FILE = 1 << 7, 1 << 8
_REFER, _TRUNCATE, _DEVICE_CONTROL = 1 << 13, 1 << 14, 1 << 15
_ON_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _DEVICE_CONTROL
_READ = _READ_FILE | _READ_FOLDER
#: No links, pipes, sockets or devices are made, and nothing is ever executed.
_WRITE = _READ | _WRITE_FILE | _REMOVE_FOLDER | _REMOVE_FILE | _MAKE_FOLDER | _MAKE_FILE | _REFER | _TRUNCATE
#: How many kinds of access to files each version of the interface knows.
_KNOWN_BITS = {1: 13, 2: 14, 3: 15, 4: 15}
_ALL_BITS = 16
_BIND_AND_CONNECT_TCP = 3
_TCP_VERSION = 4
_ABSTRACT_SOCKETS_AND_SIGNALS = 3
_SCOPE_VERSION = 6


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("access", ctypes.c_uint64), ("descriptor", ctypes.c_int32))


def version() -> int:
    """Tell which version of Landlock's interface the kernel has; 0 if there is none."""
    try:
        return kernel.call(_CREATE_RULESET, None, 0, _ASK_VERSION)
    except OSError:
        return 0


def restrict(*, read: Iterable[Path], write: Iterable[Path]) -> None:
    """Take away all files but some, and from version 4 on TCP; from 6 on, signals to other processes.

    Args:
        read: Files and folders to read, with all that is in them. What does not exist is passed over.
        write: Files and folders to read, write, make and delete in.

    Raises:
        OSError: The kernel has no Landlock, or it is switched off.
    """
    found = version()
    known = (1 << _KNOWN_BITS.get(found, _ALL_BITS)) - 1
    wanted = _Ruleset(
        known,
        _BIND_AND_CONNECT_TCP if found >= _TCP_VERSION else 0,
        _ABSTRACT_SOCKETS_AND_SIGNALS if found >= _SCOPE_VERSION else 0,
    )
    size = 24 if found >= _SCOPE_VERSION else 16 if found >= _TCP_VERSION else 8
    ruleset = kernel.call(_CREATE_RULESET, wanted, size, 0)
    try:
        for paths, access in ((read, _READ), (write, _WRITE)):
            for path in paths:
                _allow(ruleset, path, access & known)
        kernel.call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: Path, access: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            access &= _ON_FILES
        kernel.call(_ADD_RULE, ruleset, _PATH_BENEATH, _PathBeneath(access, descriptor), 0)
    finally:
        os.close(descriptor)
