"""``proctor api``: the HTTP API alone, for containers and for ``proctor serve``."""

from __future__ import annotations

import socket

import click
import uvicorn

from app.api.connections import PunctualProtocol
from app.commands.options import settings_of
from app.commands.outcome import ExitCode, Output, proctor_command
from app.home import enter_home
from app.main import create_app
from models.recipes.layer_list.limits import MAX_TEXT_BYTES

#: Event streams stay open as long as their job runs; at the end they get this long to notice.
SHUTDOWN_S = 3
#: Longest request line and headers. A layer list travels in the query, where each of its bytes can take
#: three. The parser's own 16 KiB only hold for a head that comes in pieces: from near by, longer ones passed.
MAX_HEAD_BYTES = 3 * MAX_TEXT_BYTES + 16 * 1024


@proctor_command("api")
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="Port.  [default: 8642]")
@click.option(
    "--fd",
    type=click.IntRange(min=0),
    help="Serve a listening socket inherited under this number instead.",
)
def command(*, output: Output, host: str | None, port: int | None, fd: int | None) -> int:
    """Run the HTTP API alone; workers and the scheduler run beside it."""
    del output
    settings = settings_of(host=host, port=port)
    enter_home(settings)
    config = uvicorn.Config(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        timeout_graceful_shutdown=SHUTDOWN_S,
        http=PunctualProtocol,
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        server_header=False,
        access_log=False,
    )
    uvicorn.Server(config).run(sockets=None if fd is None else [socket.socket(fileno=fd)])
    return ExitCode.ACCEPTED
