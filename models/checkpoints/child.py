"""One question to a fresh process that reads hostile bytes: JSON in, JSON out, nothing shared but two paths.

``python -I`` with an empty environment; the child enters the sandbox's ``parse`` profile before it touches
the file. What it answers is parsed again by the parent, and cut off if it is too long.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from models.errors import HostDiskFull, Interrupted, ProctorError, Rejected
from models.sandbox.bounds import Bounds
from models.sandbox.profiles import PARSE, SandboxUnavailable, confine, require, seal

#: A thousand class names of 255 characters, of four bytes each, are the most of a true answer.
_MAX_ANSWER_BYTES = 2 * 1024 * 1024
_READ_BYTES = 65536
#: NumPy starts no threads of its own then; they would come before Landlock, which does not reach them.
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
#: What the kernel says when a limit on files is reached.
_LIMIT_ERRORS = frozenset({errno.EMFILE, errno.EFBIG, errno.ENOMEM})

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
        HostDiskFull: There was no room for what it writes; that says nothing about the file.
        Interrupted: Somebody told it to end; that says nothing about the file.
    """
    return ask([sys.executable, "-I", "-m", module], request, wall_s=wall_s)


def ask(command: list[str], request: Document, *, wall_s: float) -> dict[str, Any]:
    """Do what ``ask_child`` does with any command."""
    status, raw = _converse(command, json.dumps(request).encode(), wall_s)
    if len(raw) > _MAX_ANSWER_BYTES:
        raise ChildStoppedError("The reader's answer is longer than any true one.", limit=True)
    if status in {-signal.SIGXCPU, -signal.SIGKILL}:
        raise ChildStoppedError("Reading used more processor time or memory than allowed.", limit=True)
    if status == -signal.SIGTERM:  # service managers signal the whole group, not only the worker
        raise Interrupted("The reader was told to stop.", hint="Read the file again.")
    if status:
        raise ChildStoppedError(f"The reader ended with status {status}.", limit=False)
    return _parse_answer(raw)


def _converse(command: list[str], request: bytes, wall_s: float) -> tuple[int, bytes]:
    """Run a process on one request; return its status and answer, the latter cut off when it is too long."""
    deadline = time.monotonic() + wall_s
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_ENVIRONMENT,
        bufsize=0,
    ) as process:
        assert process.stdin is not None and process.stdout is not None, "pipes"  # noqa: S101
        try:
            with contextlib.suppress(BrokenPipeError):  # it died early; its status says of what
                process.stdin.write(request)
            process.stdin.close()
            answer = _read_until(process.stdout.fileno(), deadline)
            if len(answer) > _MAX_ANSWER_BYTES:
                process.kill()
            return process.wait(max(0.0, deadline - time.monotonic())), answer
        except (TimeoutError, subprocess.TimeoutExpired):
            late = f"Reading took longer than {wall_s:g} s: the machine may be too busy; try again later."
            raise ChildStoppedError(late, limit=True) from None
        finally:
            process.kill()


def _read_until(descriptor: int, deadline: float) -> bytes:
    """Read a pipe to its end, or a little beyond the longest answer.

    Raises:
        TimeoutError: The deadline came first.
    """
    parts: list[bytes] = []
    while sum(map(len, parts)) <= _MAX_ANSWER_BYTES:
        if not select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise TimeoutError
        part = os.read(descriptor, _READ_BYTES)
        if not part:
            break
        parts.append(part)
    return b"".join(parts)


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
    except (ValueError, RecursionError):
        answer = None
    match answer:
        case {"accepted": dict(document)}:
            return document
        case {"rejected": {"code": HostDiskFull.code}}:
            raise HostDiskFull
        case {"rejected": {"code": str(code), "detail": str(detail), "hint": str(hint)}}:
            raise ChildRejectedError(code, detail, hint)
        case {"stopped": str(detail), "limit": bool(limit)}:
            raise ChildStoppedError(detail, limit=limit)
    raise ChildStoppedError("The reader's answer is not one.", limit=False)


def answer_request(handle: Callable[[Document], Document]) -> None:
    """Read one request from standard input, handle it, and write the answer to standard output.

    Args:
        handle: Returns what was accepted, or raises ``Rejected``. It calls ``lock_in`` first.
    """
    try:
        answer: Document = {"accepted": handle(json.load(sys.stdin))}
    except (Rejected, SandboxUnavailable) as error:
        answer = _rejected(error)
    except MemoryError:
        answer = {"stopped": "Reading used more memory than allowed.", "limit": True}
    except Exception as error:  # a fault of ours, told by name: the bytes may hold anything, so no message
        if HostDiskFull.told_by(error):
            answer = _rejected(HostDiskFull())
        elif isinstance(error, OSError) and error.errno in _LIMIT_ERRORS:
            answer = {"stopped": "Reading used more files or disk than allowed.", "limit": True}
        else:
            answer = {"stopped": f"The reader failed with {type(error).__name__}.", "limit": False}
    # Not escaped: twelve bytes for an emoji would make names longer than any true answer may be. What is no
    # character, half of an emoji, passes as it is: ``json.loads`` takes it back.
    sys.stdout.buffer.write(json.dumps(answer, ensure_ascii=False).encode("utf-8", "surrogatepass"))


def _rejected(error: ProctorError) -> Document:
    return {"rejected": {"code": error.code, "detail": error.detail, "hint": error.hint}}


def lock_in(
    request: Document,
    *,
    read: Path,
    write: Path,
    bounds: Bounds,
    last_thread: Callable[[], None] = lambda: None,
) -> tuple[str, ...]:
    """Enter the ``parse`` profile. The libraries are loaded by now; the file has not been opened.

    Args:
        request: Its ``sandbox`` says what happens when something is missing; see ``profiles.Mode``.
        read: The upload.
        write: The folder of the canonical file.
        bounds: On everything it may use.
        last_thread: Starts what runs beside the reading: confined already, and not yet sealed.

    Returns:
        A warning for the inspection if this machine lacks something.

    Raises:
        SandboxUnavailable: It does, and must not.
    """
    confined = confine(read=[read], write=[write])
    last_thread()
    missing = (*confined, *seal(PARSE, bounds))
    require(request.get("sandbox", "degraded"), missing)
    if not missing:
        return ()
    return (f"The file was read in a degraded sandbox: this machine has no {', no '.join(missing)}.",)
