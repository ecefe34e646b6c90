"""What lies in the home folder beside the data: who serves it, where, and with which key."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from app.core.settings import Settings


class HomeBusyError(Exception):
    """Another process already serves this home."""

    def __init__(self, home: Path, server: Server | None) -> None:
        """Name the folder and, if it is known, where the other process listens."""
        where = f" at {server.url} (process {server.pid})" if server is not None else ""
        super().__init__(f"A Proctor server is already running on {home}{where}.")


@dataclass(frozen=True)
class Server:
    """Where a running server listens."""

    url: str
    pid: int


def enter_home(settings: Settings) -> Path:
    """Make the home the working directory, and everything made from now on its owner's alone.

    Relative URLs in the settings then mean the same in every process of the service.
    """
    home = settings.make_home()
    os.umask(0o077)
    os.chdir(home)
    return home


def _server_file(home: Path) -> Path:
    return home / "server.json"


def read_server(home: Path) -> Server | None:
    """Find the server that runs on ``home``; None if there is none or its note is unreadable."""
    try:
        note = json.loads(_server_file(home).read_text())
        server = Server(str(note["url"]), int(note["pid"]))
        os.kill(server.pid, 0)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return server


def read_key(path: Path) -> str | None:
    """Read the key that ``proctor serve`` left; None if there is none for this user."""
    try:
        return path.read_text().strip() or None
    except OSError:
        return None


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    temporary.replace(path)


@contextmanager
def sole_owner(home: Path) -> Iterator[None]:
    """Hold the home's lock; the kernel lets go of it when the process dies, however it dies.

    Raises:
        HomeBusyError: If another process holds it.
    """
    with (home / "serve.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise HomeBusyError(home, read_server(home)) from None
        yield


@contextmanager
def announced_server(home: Path, url: str) -> Iterator[Server]:
    """Let the command line find a server while it runs."""
    server = Server(url, os.getpid())
    write_private(_server_file(home), json.dumps(asdict(server)) + "\n")
    try:
        yield server
    finally:
        _server_file(home).unlink(missing_ok=True)
