"""The filter of system calls (seccomp-BPF): what no profile needs is refused with EPERM.

A list of what is denied, not of what is allowed: which calls torch, OpenMP and the C library make changes
with their releases, and a job must not fail for a harmless new one. What gives power over anything beyond
this process is on the list, and so is everything newer than the list.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from models.sandbox import kernel
from models.sandbox.syscalls import LAST_KNOWN, Machine

_SET_MODE_FILTER = 1
_ALL_THREADS = 1

_KILL_PROCESS = 0x80000000
_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000

_LOAD = 0x20
_RETURN = 0x06
_IF_EQUAL = 0x15
_IF_GREATER = 0x25
_IF_AT_LEAST = 0x35
_IF_ANY_BIT = 0x45

_NUMBER_AT, _ARCH_AT = 0, 4
_X32_BIT = 0x40000000
_CLONE_THREAD = 0x00010000
#: Typing into a terminal on behalf of its user.
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
#: Who gets a signal when a descriptor is ready, and which: a way to kill others that Landlock before its
#: sixth version does not judge.
_FIOSETOWN, _SIOCSPGRP = 0x8901, 0x8902
_F_SETOWN, _F_SETSIG, _F_SETOWN_EX = 8, 10, 15

Instruction = tuple[int, int, int, int]
"""Code, steps to skip if true, steps to skip if false, operand."""

_REFUSE: Instruction = (_RETURN, 0, 0, _ERRNO | errno.EPERM)
_NOT_THERE: Instruction = (_RETURN, 0, 0, _ERRNO | errno.ENOSYS)
_PASS: Instruction = (_RETURN, 0, 0, _ALLOW)


def program(machine: Machine, *, pid: int, threads: bool) -> list[Instruction]:
    """Write the filter.

    Args:
        machine: Whose system calls.
        pid: This process, the only one it may signal. No fork follows, so the number stays true.
        threads: Whether new threads may be started.
    """
    judged = machine.judged
    steps: list[Instruction] = [
        (_LOAD, 0, 0, _ARCH_AT),
        (_IF_EQUAL, 1, 0, machine.audit_arch),
        (_RETURN, 0, 0, _KILL_PROCESS),
        (_LOAD, 0, 0, _NUMBER_AT),
    ]
    if machine.has_x32:
        steps += [(_IF_AT_LEAST, 0, 1, _X32_BIT), _NOT_THERE]
    steps += [(_IF_GREATER, 0, 1, LAST_KNOWN), _NOT_THERE]
    for number in machine.denied:
        steps += _if_number(number, [_REFUSE])
    # Its flags are behind a pointer, where no filter can look; glibc then takes clone, whose flags are not.
    steps += _if_number(judged["clone3"], [_NOT_THERE])
    steps += _if_number(
        judged["clone"],
        [_argument(0), (_IF_ANY_BIT, 0, 1, _CLONE_THREAD), _PASS, _REFUSE] if threads else [_REFUSE],
    )
    for name in ("kill", "tgkill"):
        steps += _if_number(judged[name], [_argument(0), (_IF_EQUAL, 0, 1, pid), _PASS, _REFUSE])
    own_limits = [_argument(0), (_IF_EQUAL, 1, 0, 0), (_IF_EQUAL, 0, 1, pid), _PASS, _REFUSE]
    steps += _if_number(judged["prlimit64"], own_limits)
    steps += _if_number(judged["ioctl"], _refuse_commands(_TIOCSTI, _TIOCLINUX, _FIOSETOWN, _SIOCSPGRP))
    steps += _if_number(judged["fcntl"], _refuse_commands(_F_SETOWN, _F_SETSIG, _F_SETOWN_EX))
    return [*steps, _PASS]


def _if_number(number: int, then: list[Instruction]) -> list[Instruction]:
    return [(_IF_EQUAL, 0, len(then), number), *then]


def _refuse_commands(*commands: int) -> list[Instruction]:
    """Judge a call by its second argument, which says what to do with the descriptor."""
    # Each comparison jumps to the refusal at the end; where none holds, the last falls through to the pass.
    compared = [(_IF_EQUAL, len(commands) - at, 0, command) for at, command in enumerate(commands)]
    return [_argument(1), *compared, _PASS, _REFUSE]


def _argument(index: int) -> Instruction:
    """Load an argument's low half, which is all the kernel looks at in the calls that are judged."""
    return (_LOAD, 0, 0, 16 + 8 * index)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def install(machine: Machine, *, threads: bool) -> None:
    """Filter the system calls of all threads of this process from now on, and of all that it becomes.

    Raises:
        OSError: The kernel has no filters, or a thread could not be reached.
    """
    steps = program(machine, pid=os.getpid(), threads=threads)
    code = b"".join(struct.pack("=HBBI", *step) for step in steps)
    buffer = ctypes.create_string_buffer(code, len(code))
    filter_program = _Program(len(steps), ctypes.addressof(buffer))
    if kernel.call(machine.used["seccomp"], _SET_MODE_FILTER, _ALL_THREADS, filter_program):
        raise OSError(errno.EAGAIN, "a thread has a filter of its own")
