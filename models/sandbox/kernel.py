"""Calls into the kernel that Python has no name for."""

from __future__ import annotations

import ctypes
import os
import platform

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAPBSET_DROP = 24
_CAP_VERSION_3 = 0x20080522
_CAP_DAC_OVERRIDE = 1
_LAST_CAP = 63


def call(number: int, *arguments: int | ctypes.Structure | None) -> int:
    """Make a system call; structures are passed by address.

    Raises:
        OSError: The kernel refused.
    """
    passed = [
        ctypes.byref(argument) if isinstance(argument, ctypes.Structure) else ctypes.c_long(argument or 0)
        for argument in arguments
    ]
    return _checked(int(_LIBC.syscall(ctypes.c_long(number), *passed)))


def forbid_new_privileges() -> None:
    """Let no program started from here gain rights, which is what lets an ordinary user filter calls.

    Raises:
        OSError: The kernel refused.
    """
    if platform.system() != "Linux":
        raise OSError("this is not Linux")
    one, none = ctypes.c_ulong(1), ctypes.c_ulong(0)
    _checked(int(_LIBC.prctl(_PR_SET_NO_NEW_PRIVS, one, none, none, none)))


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapabilityData(ctypes.Structure):
    """Two words of each set: the low 32 capabilities, then the high ones."""

    _fields_ = tuple(
        (f"{name}{word}", ctypes.c_uint32)
        for word in (0, 1)
        for name in ("effective", "permitted", "inheritable")
    )


def drop_capabilities(capset: int) -> None:
    """Give up root's powers but that of reading files of other owners; ordinary users have none to lose.

    That one is kept because ``sudo proctor inspect`` must read the caller's file; which files those can be
    is for Landlock to say. A subset of the old powers, so the wish to die with the parent is kept.

    Args:
        capset: The system call's number on this machine.

    Raises:
        OSError: The kernel refused.
    """
    if os.geteuid() != 0:
        return
    none = ctypes.c_ulong(0)
    for capability in range(_LAST_CAP + 1):
        # Fails beyond the last one the kernel knows, and without the power to drop, which is no loss.
        _LIBC.prctl(_PR_CAPBSET_DROP, ctypes.c_ulong(capability), none, none, none)
    kept = 1 << _CAP_DAC_OVERRIDE if _has_capability(_CAP_DAC_OVERRIDE) else 0
    call(capset, _CapabilityHeader(_CAP_VERSION_3, 0), _CapabilityData(kept, kept, 0, 0, 0, 0))


def _has_capability(number: int) -> bool:
    with open("/proc/self/status", encoding="ascii") as file:  # noqa: PTH123 - before pathlib is worth loading
        permitted = next(line.split()[1] for line in file if line.startswith("CapPrm:"))
    return bool(int(permitted, 16) >> number & 1)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
