"""How a command ends: exit codes, results on stdout, errors with a hint."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import click
from rich.console import Console, RenderableType

from app.client.errors import ClientError, ProblemError
from app.commands.hints import in_words_of_options
from app.core.errors import ServiceError

Document = Mapping[str, Any]

#: What runs for weeks and is read from a log, where an unforeseen error keeps its traceback.
_SERVICES = frozenset({"serve", "api", "worker", "scheduler"})


class ExitCode(IntEnum):
    """What scripts can rely on; part of the public contract."""

    ACCEPTED = 0
    """Done; the audit found nothing, or the student passed every check."""
    NOT_ACCEPTED = 1
    """Done, but a backdoor was found or cannot be ruled out, or the student did not pass."""
    ERROR = 2
    UNSUPPORTED_FILE = 3
    USAGE = 4
    CANCELED = 130
    """Canceled; or Ctrl-C ended the command, which leaves a job of a server running."""


class CommandError(Exception):
    """A command cannot go on."""

    def __init__(
        self, detail: str, *, code: str, hint: str = "", exit_code: ExitCode = ExitCode.ERROR
    ) -> None:
        """Store what happened, what to do about it, and how the process ends."""
        super().__init__(detail)
        self.detail = detail
        self.code = code
        self.hint = hint
        self.exit_code = exit_code


def exit_code_of(job: Document) -> ExitCode:
    """Judge a finished job.

    With a student, its acceptance decides: cleaning an infected teacher is the point. Without one the verdict
    does, and only ``not_detected`` is good news: a gate must not let the inconclusive through. Nor a teacher
    that is ruinous to learn from, where nobody has learned from it yet.
    """
    if job["status"] == "canceled":
        return ExitCode.CANCELED
    if job["status"] != "succeeded":
        return ExitCode.ERROR
    if job.get("accepted") is not None:
        return ExitCode.ACCEPTED if job["accepted"] else ExitCode.NOT_ACCEPTED
    nasty = undistillable_of(job)
    if job.get("verdict") in (None, "not_detected") and (nasty is None or nasty["word"] != "detected"):
        return ExitCode.ACCEPTED
    return ExitCode.NOT_ACCEPTED


def undistillable_of(job: Document) -> Document | None:
    """Return what the audit says about learning from the teacher, if it asked."""
    audit = (job.get("result") or {}).get("probe") or {}
    found: Document | None = audit.get("undistillable")
    return found


@dataclass
class Output:
    """Where a command writes: one result to stdout, everything else to stderr."""

    as_json: bool
    console: Console = field(default_factory=lambda: Console(stderr=True))
    """For progress and remarks."""
    _emitted: bool = field(default=False, init=False)

    def emit(self, document: object, text: RenderableType) -> None:
        """Write the result: as JSON when asked to, else for people."""
        self._emitted = True
        if self.as_json:
            # Flushed at once: a full disk must be noticed while the exit code can still say so.
            print(json.dumps(document, indent=2, sort_keys=True, default=str), flush=True)  # noqa: T201
        else:
            # A text is written as it is: names and paths may hold what Rich takes for markup.
            plain = isinstance(text, str)
            Console(highlight=False, emoji=False).print(text, soft_wrap=plain, markup=not plain)

    def remark(self, text: str) -> None:
        """Write a line for people; leaves stdout alone. It must not fail where the terminal is gone."""
        with suppress(OSError):
            self.console.print(text, markup=False, emoji=False, highlight=False, soft_wrap=True)

    def fail(self, code: str, detail: str, hint: str, errors: Iterable[Mapping[str, str]] = ()) -> None:
        """Write an error in the form that was asked for; as a remark if the result is already on stdout.

        Args:
            code: Its stable name.
            detail: What happened.
            hint: What to do. Where it speaks of HTTP, it is said in the words of options.
            errors: The fields of the request that are wrong, each with ``pointer`` and ``detail``.
        """
        hint, fields = in_words_of_options(hint), [dict(entry) for entry in errors]
        if self.as_json and not self._emitted:
            error = {"code": code, "detail": detail, "hint": hint, **({"errors": fields} if fields else {})}
            with suppress(OSError):  # nothing can be written to stdout; stderr gets it
                print(json.dumps({"error": error}, indent=2), flush=True)  # noqa: T201
                return
        self.remark(f"Error: {detail}")
        for entry in fields:
            told = f"{entry['pointer'].removeprefix('/')}: {entry['detail']}"
            if told not in detail:
                self.remark(f"       {told}")
        if hint:
            self.remark(f"Hint:  {hint}")


class ProctorCommand(click.Command):
    """A command with ``--json`` whose errors end in one line, a hint and the right exit code."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Add the option that all commands share."""
        super().__init__(*args, **kwargs)
        self.params.append(
            click.Option(["--json", "as_json"], is_flag=True, help="Write the result to stdout as JSON.")
        )

    def invoke(self, ctx: click.Context) -> Any:
        """Run the callback; it gets an ``Output`` in place of ``--json``."""
        output = Output(bool(ctx.params.pop("as_json", False)))
        ctx.params["output"] = output
        try:
            return super().invoke(ctx)
        except CommandError as error:
            output.fail(error.code, error.detail, error.hint)
            return error.exit_code
        except (ClientError, ServiceError) as error:
            output.fail(error.code, error.detail, error.hint, wrong_fields(error))
            return ExitCode.ERROR
        except OSError as error:
            output.fail("os_error", sentence_of(error), "")
            return ExitCode.ERROR
        except KeyboardInterrupt:
            output.remark("Interrupted.")
            return ExitCode.CANCELED
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except Exception as error:
            return tell_unforeseen(output, error, verb=ctx.info_name)


def tell_unforeseen(output: Output, error: Exception, verb: str | None = None) -> ExitCode:
    """Tell an error that nobody has thought of, and never end with 1, which a gate takes for a verdict.

    Args:
        output: Where to.
        error: What was raised; its traceback is shown if ``PROCTOR_DEBUG`` is set.
        verb: Which command it ended.
    """
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415  most commands do without it

    if os.environ.get("PROCTOR_DEBUG") or verb in _SERVICES:
        traceback.print_exception(error)
    reason = (str(error).splitlines() or [""])[0]
    if isinstance(error, SQLAlchemyError):
        from app.db.faults import hint_without_settings  # noqa: PLC0415  as above

        output.fail(
            "database_unavailable", f"The database cannot be used: {reason}", hint_without_settings(error)
        )
    else:
        hint = "Set PROCTOR_DEBUG=1 and repeat it; a report of this fault needs what is then shown."
        output.fail("internal_error", f"Proctor failed by {type(error).__name__}: {reason}", hint)
    return ExitCode.ERROR


def sentence_of(error: OSError) -> str:
    """Say what the system refused, and on which file if it names one."""
    place = f"{error.filename}: " if error.filename else ""
    return f"{place}{error.strerror or error}."


def wrong_fields(error: ClientError | ServiceError) -> list[dict[str, str]]:
    """Return the fields of a refused request that its error names, whatever the server sent as such."""
    if isinstance(error, ServiceError):
        return [{"pointer": fault.pointer, "detail": fault.detail} for fault in error.errors]
    named = error.document.get("errors") if isinstance(error, ProblemError) else None
    return [
        {"pointer": str(entry.get("pointer", "")), "detail": str(entry.get("detail", ""))}
        for entry in (named if isinstance(named, list) else [])
        if isinstance(entry, dict)
    ]


def proctor_command(name: str) -> Callable[[Callable[..., int]], click.Command]:
    """Make a function the command ``name``; it takes ``output`` and returns an exit code."""
    return click.command(name, cls=ProctorCommand)


def write_error(text: str) -> None:
    """Write to stderr where no ``Output`` exists yet."""
    print(text, file=sys.stderr)  # noqa: T201
