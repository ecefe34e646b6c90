"""One-command mode: ``proctor serve`` runs everything on this machine and leaves nothing behind.

The launcher itself opens the port and hands the socket to the API's process. Port 0 therefore works, a port
in use is noticed at once, and while a fallen API is started again clients wait in the socket's queue instead
of being refused.
"""

from __future__ import annotations

import errno
import http.client
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from app.core.settings import Settings
from app.embedded import background_children, make_child
from app.home import announced_server, enter_home, sole_owner
from app.processes import ChildSpec, Supervisor, stop_on_signals

API_START_S = 30.0
TICK_S = 0.25

Announce = Callable[[str], None]


class PortError(Exception):
    """The address cannot be listened on."""

    def __init__(self, detail: str, hint: str) -> None:
        """Store what is wrong with the address and what to do."""
        super().__init__(detail)
        self.hint = hint


class StartError(Exception):
    """The API did not answer in time."""


@dataclass(frozen=True)
class Ready:
    """What a user needs to know once the service answers."""

    url: str
    key: str
    key_file: Path
    logs: Path
    pids: dict[str, int]


def open_socket(host: str, port: int) -> socket.socket:
    """Listen on an address; port 0 takes a free one.

    Raises:
        PortError: If the port is taken, privileged, or the host is not one of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortError(
                f"Port {port} on {host} is already in use.",
                "Stop what listens there, or choose another with --port (0 takes any free one).",
            ) from error
        raise PortError(
            f"Cannot listen on {host} port {port}: {error.strerror or error}.",
            "Choose others with --host and --port.",
        ) from error
    return listener


def url_of(listener: socket.socket) -> str:
    """Write a listening socket's address as a URL that a client on this machine can use."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  compares, does not bind
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def answers(listener: socket.socket) -> bool:
    """Ask the API whether it is alive, without waiting long."""
    connection = http.client.HTTPConnection(url_of(listener).removeprefix("http://"), timeout=1.0)
    try:
        connection.request("GET", "/livez")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def api_child(settings: Settings, listener: socket.socket) -> ChildSpec:
    """Describe the API's process, which serves a socket it inherits."""
    descriptor = listener.fileno()
    command = [sys.executable, "-P", "-m", "app.cli", "api", f"--fd={descriptor}"]
    return replace(make_child(settings, "api", command), inherited_fds=(descriptor,))


def serve(settings: Settings, *, announce: Announce, on_ready: Callable[[Ready], None]) -> None:
    """Run the whole service until SIGINT or SIGTERM.

    Args:
        settings: Where, and on which home.
        announce: Told in a sentence about whatever the user should know.
        on_ready: Called once, when the service answers.

    Raises:
        HomeBusyError: If another server runs on the same home.
        PortError: If the address cannot be listened on.
        ChildFailedError: If a part of the service does not stay up.
        StartError: If the API does not answer within 30 s.
    """
    home = enter_home(settings)
    with stop_on_signals() as stop, sole_owner(home), open_socket(settings.host, settings.port) as listener:
        supervisor = Supervisor(announce)
        try:
            supervisor.start(api_child(settings, listener))
            key = _prepare(settings)
            _wait_for_api(supervisor, listener, stop)
            if stop.is_set():
                return
            for spec in background_children(settings):
                supervisor.start(spec)
            with announced_server(home, url_of(listener)) as server:
                on_ready(Ready(server.url, key, settings.key_file, home / "logs", supervisor.pids()))
                while not stop.wait(TICK_S):
                    supervisor.tick()
        finally:
            supervisor.stop()


def _prepare(settings: Settings) -> str:
    """Bring the database up to date while the API's process imports; ``/livez`` needs no table.

    Imported here, so that the API's process is started before this one imports SQLAlchemy and Alembic.
    """
    from app.preparation import ensure_key, prepare_database  # noqa: PLC0415

    prepare_database(settings)
    return ensure_key(settings)


def _wait_for_api(supervisor: Supervisor, listener: socket.socket, stop: threading.Event) -> None:
    deadline = time.monotonic() + API_START_S
    while not answers(listener) and not stop.is_set():
        supervisor.tick()
        if time.monotonic() > deadline:
            raise StartError(f"The API did not answer within {API_START_S:g} s.")
        stop.wait(0.05)
