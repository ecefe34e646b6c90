"""One question to a fresh process that reads hostile bytes: JSON in, JSON out, nothing shared but two paths.

``python -I`` with an empty environment; the child bounds its own processor time, memory and file size before
it touches the file. What it answers is parsed again by the parent.
"""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from models.errors import Rejected

_MAX_ANSWER_BYTES = 1024 * 1024
_PAGE_BYTES = resource.getpagesize()

Document = Mapping[str, Any]


class ChildStoppedError(Exception):
    """The child gave no answer.

    Attributes:
        limit: Whether it ran into a bound on time or memory.
    """

    def __init__(self, detail: str, *, limit: bool) -> None:
        """Say what happened to it."""
        super().__init__(detail)
        self.limit = limit


def ask_child(module: str, request: Document, *, wall_s: float) -> dict[str, Any]:
    """Run ``module`` on one request and return what it accepted.

    Args:
        module: Importable name of a module whose main calls ``answer_request``.
        request: Anything JSON can hold.
        wall_s: The child is killed after so many seconds.

    Raises:
        ChildRejectedError: The child refused the file.
        ChildStoppedError: It crashed, ran into a limit, or answered nonsense.
    """
    command = [sys.executable, "-I", "-m", module]
    try:
        done = subprocess.run(
            command,
            input=json.dumps(request).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
            timeout=wall_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ChildStoppedError(f"Reading took longer than {wall_s:g} s.", limit=True) from None
    if done.returncode in {-signal.SIGXCPU, -signal.SIGKILL}:
        raise ChildStoppedError("Reading used more processor time or memory than allowed.", limit=True)
    if done.returncode or len(done.stdout) > _MAX_ANSWER_BYTES:
        raise ChildStoppedError(f"The reader ended with status {done.returncode}.", limit=False)
    return _parse_answer(done.stdout)


class ChildRejectedError(Exception):
    """The child refused the file.

    Attributes:
        code: As in the error the child raised.
        detail: Likewise.
        hint: Likewise.
    """

    def __init__(self, code: str, detail: str, hint: str) -> None:
        """Carry the three parts over."""
        super().__init__(detail)
        self.code, self.detail, self.hint = code, detail, hint


def _parse_answer(raw: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(raw)
    except ValueError:
        answer = None
    match answer:
        case {"accepted": dict(document)}:
            return document
        case {"rejected": {"code": str(code), "detail": str(detail), "hint": str(hint)}}:
            raise ChildRejectedError(code, detail, hint)
        case {"stopped": str(detail), "limit": bool(limit)}:
            raise ChildStoppedError(detail, limit=limit)
    raise ChildStoppedError("The reader's answer is not one.", limit=False)


def answer_request(handle: Callable[[Document], Document]) -> None:
    """Read one request from standard input, handle it, and write the answer to standard output.

    Args:
        handle: Returns what was accepted, or raises ``Rejected``. It calls ``bound_process`` first.
    """
    try:
        answer: Document = {"accepted": handle(json.load(sys.stdin))}
    except Rejected as error:
        answer = {"rejected": {"code": error.code, "detail": error.detail, "hint": error.hint}}
    except MemoryError:
        answer = {"stopped": "Reading used more memory than allowed.", "limit": True}
    except Exception as error:  # a fault of ours, told by name: the bytes may hold anything, so no message
        answer = {"stopped": f"The reader failed with {type(error).__name__}.", "limit": False}
    json.dump(answer, sys.stdout)


def bound_process(*, cpu_s: int, memory_bytes: int, file_bytes: int) -> None:
    """Limit this process from now on. The interpreter and its libraries are already loaded and do not count.

    Args:
        cpu_s: Seconds of processor time; the process is killed beyond them.
        memory_bytes: Address space on top of what is mapped already; beyond it, MemoryError.
        file_bytes: Longest file it may write.
    """
    mapped_bytes = int(Path("/proc/self/statm").read_text().split()[0]) * _PAGE_BYTES
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
    resource.setrlimit(resource.RLIMIT_AS, (mapped_bytes + memory_bytes,) * 2)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
