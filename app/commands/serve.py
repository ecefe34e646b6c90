"""``proctor serve``: the whole service on this machine."""

from __future__ import annotations

from pathlib import Path

import click

from app import launcher
from app.commands.options import home_option, settings_of
from app.commands.outcome import CommandError, ExitCode, Output, proctor_command
from app.commands.references import require_references
from app.commands.sandbox import require_sandbox
from app.home import HomeBusyError
from app.processes import ChildFailedError


@proctor_command("serve")
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="Port; 0 takes a free one.  [default: 8642]")
@home_option
def command(*, output: Output, host: str | None, port: int | None, home: Path | None) -> int:
    """Run the service: API, workers and scheduler, with a database and a queue of its own.

    Prints the address and a key, and runs until Ctrl-C. Everything it keeps lies in one folder.
    """
    settings = settings_of(home=home, host=host, port=port)
    require_sandbox(settings)
    require_references(settings)

    def on_ready(ready: launcher.Ready) -> None:
        document = {
            "url": ready.url,
            "key": ready.key,
            "key_file": str(ready.key_file),
            "logs": str(ready.logs),
            "processes": ready.pids,
        }
        output.emit(document, ready_text(ready))

    try:
        launcher.serve(settings, announce=output.remark, on_ready=on_ready)
    except launcher.PortError as error:
        raise CommandError(str(error), code="port_unusable", hint=error.hint) from error
    except HomeBusyError as error:
        hint = "Use that one, stop it, or serve another folder with --home."
        raise CommandError(str(error), code="home_busy", hint=hint) from error
    except launcher.StartError as error:
        raise CommandError(str(error), code="start_failed", hint=_logs_hint(settings.home)) from error
    except ChildFailedError as error:
        output.remark(error.log_tail)
        hint = _logs_hint(settings.home)
        raise CommandError(str(error), code="process_failed", hint=hint) from error
    output.remark("Stopped; no process is left.")
    return ExitCode.ACCEPTED


def _logs_hint(home: Path) -> str:
    return f"Look into the logs in {home / 'logs'}, and run `proctor doctor`."


def ready_text(ready: launcher.Ready) -> str:
    """Say where the service is and what to do next."""
    return (
        f"Proctor is ready at {ready.url}\n"
        f"  key    {ready.key}  (kept in {ready.key_file}; the command line finds it there)\n"
        f"  API    {ready.url}/openapi.json\n"
        f"  logs   {ready.logs}\n"
        "Next, in another terminal:\n"
        "  proctor submit teacher.pt --watch\n"
        "Ctrl-C stops the service."
    )
