"""Handing a request to a process of the lab, which has torch; the command line does without."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from app.commands.outcome import CommandError, ExitCode

#: How a user or a supervisor stops a process; anything else that kills one is a fault.
_STOPS = frozenset({signal.SIGINT, signal.SIGTERM})


def run_lab(module: str, request: Mapping[str, Any]) -> int:
    """Run ``python -m module REQUEST`` and return its exit code; signals reach it, and it writes its state.

    Args:
        module: Takes one JSON object as its only argument.
        request: That object.

    Raises:
        CommandError: ``process_failed``, if it ended by a signal that nobody sends to stop it, or with a code
            that the command line has for something else.
    """
    process = _started([sys.executable, "-P", "-m", module, json.dumps(request)])
    former = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        while True:
            try:
                code = process.wait()
            except KeyboardInterrupt:
                process.terminate()  # a terminal has told it too; whoever signaled this process alone has not
                continue
            return _judged(code)
    finally:
        signal.signal(signal.SIGTERM, former)


def _started(command: list[str]) -> subprocess.Popen[bytes]:
    """Start a process that Ctrl-C does not reach until it listens: it is told by ``terminate``.

    Else one that is still importing torch, which takes seconds, ends in a traceback.
    """
    former = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return subprocess.Popen(command)
    finally:
        signal.signal(signal.SIGINT, former)


def _judged(code: int) -> int:
    """Return the command's exit code; a process that was killed is not one that was canceled."""
    if code < 0 and -code in _STOPS:
        return ExitCode.CANCELED
    if code in set(ExitCode) - {ExitCode.NOT_ACCEPTED}:
        return code
    if code == -signal.SIGKILL:
        detail, hint = "It was killed (SIGKILL)", "Most often memory ran out. "
    else:
        detail, hint = f"It ended with {_name(-code) if code < 0 else f'status {code}'}", ""
    raise CommandError(
        f"The process that computes failed. {detail}.",
        code="process_failed",
        hint=f"{hint}Repeat the command: what it has kept is not done again.",
    )


def _name(number: int) -> str:
    known = {each.value: each.name for each in signal.Signals}
    return known.get(number, f"signal {number}")
