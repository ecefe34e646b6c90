"""The command line: ``proctor VERB``."""

from __future__ import annotations

import importlib
import io
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version

import click

from app.commands.outcome import ExitCode, Output, tell_unforeseen

#: Verb -> the module under ``app.commands`` that defines ``command``; imported only when the verb is used, so
#: that ``proctor list`` does not wait for SQLAlchemy and Celery.
VERBS = {
    "run": "run",
    "serve": "serve",
    "submit": "submit",
    "protect": "protect",
    "watch": "watch",
    "fetch": "fetch",
    "cancel": "cancel",
    "retry": "retry",
    "list": "list_jobs",
    "inspect": "inspect",
    "lab": "lab",
    "doctor": "doctor",
    "api": "api",
    "worker": "worker",
    "scheduler": "scheduler",
    "migrate": "migrate",
    "keys": "keys",
    "reproduce": "reproduce",
    "calibrate": "calibrate",
}


class LazyGroup(click.Group):
    """A group that imports a command's module when the command is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the verbs in the order in which a user meets them."""
        del ctx
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the verb's module."""
        del ctx
        if cmd_name not in VERBS:
            return None
        command: click.Command = importlib.import_module(f"app.commands.{VERBS[cmd_name]}").command
        return command


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(version("proctor"), prog_name="proctor")
def cli() -> None:
    """Audit a teacher network for backdoors and get a cleaned, smaller student with the evidence.

    \b
    proctor run teacher.pt          everything in the foreground, without a server
    proctor serve                   the service on this machine
    proctor submit teacher.pt       a job for a running service
    proctor lab make --help         teachers with a known backdoor, to measure defenses with
    proctor protect mine.pt         make a network of your own useless to distill from
    proctor reproduce --help        the papers' tables again
    proctor calibrate --help        what clean networks score, for a verdict with a false-positive rate

    \b
    Exit codes: 0 the student was accepted, whatever the verdict on the teacher, or an audit ended
    in not_detected; 1 otherwise; 2 error, 3 unsupported file, 4 usage, 130 canceled, or you
    stopped watching.
    To gate on the teacher: proctor run teacher.pt --kind audit.
    """


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit code; 1 only if a finished job's result asks for it."""
    try:
        code = cli.main(list(arguments), prog_name="proctor", standalone_mode=False)
    except click.UsageError as error:
        error.show()
        return ExitCode.USAGE
    except click.ClickException as error:
        error.show()
        return ExitCode.ERROR
    except click.Abort:
        return ExitCode.CANCELED
    except SystemExit as error:  # Rich and Click end with 1 when nobody reads the output any more
        return ExitCode.ERROR if error.code else ExitCode.ACCEPTED
    except Exception as error:
        return tell_unforeseen(Output(as_json=False), error)
    return int(code or 0)


def main() -> None:
    """Run the command line on this process's arguments."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a process need have neither
            stream.reconfigure(errors="backslashreplace")  # a sign that a terminal lacks ends no command
    code = run(sys.argv[1:])
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        # Python would try again on its way out, and end with 120.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = max(code, ExitCode.ERROR)
    sys.exit(code)


if __name__ == "__main__":
    main()
