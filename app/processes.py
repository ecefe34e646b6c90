"""Child processes that die with their parent, are restarted when they fall, and are all gone at the end."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO

from app.core.plain_files import open_plain

_PR_SET_PDEATHSIG = 1
#: A child that lived this long was healthy; its next death starts the backoff anew.
STABLE_S = 20.0
#: A child that died this often without ever becoming stable will not come up by itself.
MAX_QUICK_DEATHS = 6
#: Logs larger than this are moved aside when a child first starts.
MAX_LOG_BYTES = 16 << 20


class ChildFailedError(Exception):
    """A child keeps dying."""

    def __init__(self, name: str, log_path: Path | None) -> None:
        """Name the child and quote the end of its log."""
        super().__init__(f"The {name} process keeps dying.")
        self.name = name
        self.log_path = log_path
        self.log_tail = "" if log_path is None else tail(log_path)


@dataclass(frozen=True)
class ChildSpec:
    """How to start one child."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log_path: Path | None = None
    """Where its output goes; None leaves it on this process's own."""
    inherited_fds: tuple[int, ...] = ()
    folder: Path | None = None
    """Its working directory."""


@dataclass
class _Child:
    spec: ChildSpec
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    restart_at: float = 0.0
    quick_deaths: int = 0


def tail(path: Path, size_bytes: int = 2000) -> str:
    """Read the end of a text file, whole lines only; of anything else that stands there, nothing."""
    try:
        file = open_plain(path)
    except OSError:
        return ""
    with file:
        length = file.seek(0, os.SEEK_END)
        file.seek(max(0, length - size_bytes))
        text = file.read().decode(errors="replace")
    return text if length <= size_bytes else text.partition("\n")[2]


def _size_bytes(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _die_with(parent: int, set_signal: Callable[[int, int], int] | None) -> None:
    """Run between fork and exec: have the kernel kill this process when ``parent`` dies.

    The child inherits the setting through exec but does not pass it on, so each level of processes asks for
    itself. The second check closes the gap in which the parent died before the setting was made.
    """
    if set_signal is not None:
        set_signal(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _death_signal_setter() -> Callable[[int, int], int] | None:
    """Find ``prctl`` before forking: loading a library between fork and exec may deadlock."""
    if sys.platform != "linux":
        return None
    prctl: Callable[[int, int], int] = ctypes.CDLL(None, use_errno=True).prctl
    return prctl


def start_child(spec: ChildSpec) -> subprocess.Popen[bytes]:
    """Start a child in a process group of its own, so that Ctrl-C reaches only its parent.

    Call it from the main thread: the kernel counts the death of the thread that forked as the parent's.
    """
    log: IO[bytes] | None = None
    if spec.log_path is not None:
        descriptor = os.open(spec.log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        log = os.fdopen(descriptor, "ab")
    try:
        return subprocess.Popen(
            list(spec.command),
            env=dict(spec.environment),
            cwd=spec.folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=None if log is None else subprocess.STDOUT,
            pass_fds=spec.inherited_fds,
            process_group=0,
            preexec_fn=partial(_die_with, os.getpid(), _death_signal_setter()),  # noqa: PLW1509  one thread
        )
    finally:
        if log is not None:
            log.close()


@dataclass
class Supervisor:
    """Keeps a set of children running. Drive it by calling ``tick`` a few times a second."""

    announce: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    max_backoff_s: float = 30.0
    _children: list[_Child] = field(default_factory=list, init=False)

    def start(self, spec: ChildSpec) -> None:
        """Start a child and watch it from now on."""
        if spec.log_path is not None and _size_bytes(spec.log_path) > MAX_LOG_BYTES:
            spec.log_path.replace(spec.log_path.with_suffix(".old.log"))
        child = _Child(spec)
        self._children.append(child)
        self._spawn(child)

    def tick(self) -> None:
        """Notice deaths and restart what is due.

        Raises:
            ChildFailedError: When a child has died ``MAX_QUICK_DEATHS`` times in a row within ``STABLE_S``.
        """
        now = self.clock()
        for child in self._children:
            if child.process is None:
                if now >= child.restart_at:
                    self._spawn_again(child, now)
            elif (status := child.process.poll()) is not None:
                self._mourn(child, f"ended with status {status}", now)

    def pids(self) -> dict[str, int]:
        """Give the process ids of those that run, by name."""
        return {c.spec.name: c.process.pid for c in self._children if c.process is not None}

    def stop(self, timeout_s: float = 10.0, *, quietly: bool = False) -> None:
        """Ask all children to end, last one first, and kill those that do not within ``timeout_s``.

        Args:
            timeout_s: For all of them together.
            quietly: Write of a killing to the child's log, where it has one, instead of announcing it.
        """
        running = [(c.spec, c.process) for c in reversed(self._children) if c.process is not None]
        for _, process in running:
            _signal(process, signal.SIGTERM)
        deadline = time.monotonic() + timeout_s
        try:
            for spec, process in running:
                try:
                    process.wait(max(0.0, deadline - time.monotonic()))
                except subprocess.TimeoutExpired:
                    self._tell(f"process {process.pid} did not end by itself; killing it", spec, quietly)
        finally:
            for _, process in running:
                _kill_group(process)
            self._children.clear()

    def _tell(self, text: str, spec: ChildSpec, quietly: bool) -> None:
        if not quietly or spec.log_path is None:
            self.announce(text)
            return
        with suppress(OSError), spec.log_path.open("a") as log:
            log.write(f"{text}\n")

    def _spawn(self, child: _Child) -> None:
        child.process = start_child(child.spec)
        child.started_at = self.clock()

    def _spawn_again(self, child: _Child, now: float) -> None:
        """Count a host that has no process, memory or room left just now as another quick death."""
        try:
            self._spawn(child)
        except OSError as error:
            child.started_at = now
            self._mourn(child, f"could not be started ({error.strerror})", now)

    def _mourn(self, child: _Child, how: str, now: float) -> None:
        stable = now - child.started_at >= STABLE_S
        child.quick_deaths = 1 if stable else child.quick_deaths + 1
        child.process = None
        if child.quick_deaths >= MAX_QUICK_DEATHS:
            raise ChildFailedError(child.spec.name, child.spec.log_path)
        delay_s = min(0.5 * 2 ** (child.quick_deaths - 1), self.max_backoff_s)
        child.restart_at = now + delay_s
        self.announce(f"{child.spec.name} {how}; starting it again in {delay_s:g} s")


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    if process.poll() is None:
        process.send_signal(number)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of a child's group; the group outlives its leader while a member runs."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """Turn SIGINT and SIGTERM into an event; one that comes while it is set raises ``KeyboardInterrupt``.

    The end of the terminal (SIGHUP) is one too, unless it is ignored, as ``nohup`` has it. It never insists:
    the kernel and the shell both send one.

    Python raises ``KeyboardInterrupt`` wherever it happens to be, also where exceptions are only printed and
    forgotten: in finalizers and weak references' callbacks, of which database pools have many. It raises none
    at all where SIGINT was inherited as ignored, as a shell's background jobs inherit it.
    """
    stop = threading.Event()

    def ask(number: int, frame: object) -> None:
        del frame
        if stop.is_set() and number != signal.SIGHUP:
            raise KeyboardInterrupt
        stop.set()

    asking = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        asking.append(signal.SIGHUP)
    previous = {number: signal.signal(number, ask) for number in asking}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def terminating_like_ctrl_c() -> Iterator[None]:
    """Let SIGTERM cancel and clean up as SIGINT does."""
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
