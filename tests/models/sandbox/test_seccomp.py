"""The filter's program, run step by step: also for the machine this is not."""

from __future__ import annotations

import errno

import pytest

from models.sandbox.seccomp import program
from models.sandbox.syscalls import DENIED, JUDGED, LAST_KNOWN, Machine, _machine, this_machine

X86_64 = _machine(0xC000003E, column=0)
AARCH64 = _machine(0xC00000B7, column=1)
PID = 4711
ALLOW, KILL = 0x7FFF0000, 0x80000000
REFUSE, NOT_THERE = 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS


def verdict(
    machine: Machine, number: int, *arguments: int, arch: int | None = None, threads: bool = True
) -> int:
    """Interpret the program as the kernel does."""
    words = {0: number, 4: machine.audit_arch if arch is None else arch}
    words |= {16 + 8 * index: value & 0xFFFFFFFF for index, value in enumerate(arguments)}
    steps, at, held = program(machine, pid=PID, threads=threads), 0, 0
    while True:
        code, if_true, if_false, operand = steps[at]
        at += 1
        match code:
            case 0x20:
                held = words.get(operand, 0)
            case 0x06:
                return operand
            case 0x15:
                at += if_true if held == operand else if_false
            case 0x25:
                at += if_true if held > operand else if_false
            case 0x35:
                at += if_true if held >= operand else if_false
            case 0x45:
                at += if_true if held & operand else if_false
            case _:
                raise AssertionError(code)


@pytest.fixture(params=[X86_64, AARCH64], ids=["x86_64", "aarch64"])
def machine(request: pytest.FixtureRequest) -> Machine:
    return request.param


def test_every_listed_call_is_refused(machine: Machine) -> None:
    assert {verdict(machine, number) for number in machine.denied} == {REFUSE}
    assert len(machine.denied) == len(set(machine.denied)) > 100


def test_reading_and_writing_pass(machine: Machine) -> None:
    read, write = (0, 1) if machine is X86_64 else (63, 64)
    assert verdict(machine, read) == verdict(machine, write) == ALLOW


def test_another_table_kills(machine: Machine) -> None:
    assert verdict(machine, 1, arch=0x40000003) == KILL


def test_the_second_table_of_x86_64_is_not_there() -> None:
    assert verdict(X86_64, 0x40000000 | 1) == NOT_THERE


def test_newer_calls_are_not_there(machine: Machine) -> None:
    assert verdict(machine, LAST_KNOWN + 1) == verdict(machine, machine.judged["clone3"]) == NOT_THERE


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("clone", (0x10000,), ALLOW),
        ("clone", (17,), REFUSE),
        ("clone", (0x4000 | 0x100 | 17,), REFUSE),
        ("kill", (PID,), ALLOW),
        ("kill", (1,), REFUSE),
        ("kill", (-1,), REFUSE),
        ("kill", (0,), REFUSE),
        ("tgkill", (PID, PID + 1), ALLOW),
        ("tgkill", (1, 1), REFUSE),
        ("prlimit64", (0,), ALLOW),
        ("prlimit64", (PID,), ALLOW),
        ("prlimit64", (1,), REFUSE),
        ("ioctl", (1, 0x5401), ALLOW),
        ("ioctl", (0, 0x5412), REFUSE),
        ("ioctl", (0, 0x541C), REFUSE),
        ("ioctl", (0, 0x1_0000_5412), REFUSE),
        ("ioctl", (0, 0x8901), REFUSE),  # FIOSETOWN
        ("ioctl", (0, 0x8902), REFUSE),  # SIOCSPGRP
        ("fcntl", (3, 8, 1), REFUSE),  # F_SETOWN
        ("fcntl", (3, 10, 9), REFUSE),  # F_SETSIG
        ("fcntl", (3, 15, 1), REFUSE),  # F_SETOWN_EX
        ("fcntl", (3, 0x1_0000_0008, 1), REFUSE),
        *[("fcntl", (3, command), ALLOW) for command in (0, 1, 2, 3, 4, 5, 6, 7, 9, 14, 1030, 1033)],
    ],
)
def test_some_are_judged_by_their_arguments(machine: Machine, name: str, arguments, expected: int) -> None:
    assert verdict(machine, machine.judged[name], *arguments) == expected


def test_without_threads_none_is_started(machine: Machine) -> None:
    assert verdict(machine, machine.judged["clone"], 0x10000, threads=False) == REFUSE


def test_no_call_is_both_listed_and_judged() -> None:
    assert set(DENIED) & set(JUDGED) == set()


@pytest.mark.parametrize(("system", "processor"), [("Linux", "riscv64"), ("Darwin", "arm64")])
def test_other_machines_are_not_guessed_at(system, processor, monkeypatch) -> None:
    monkeypatch.setattr("platform.system", lambda: system)
    monkeypatch.setattr("platform.machine", lambda: processor)
    assert this_machine() is None
