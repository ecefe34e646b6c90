"""How a process of the lab ends: with a sentence and an exit code, whatever went wrong."""

from __future__ import annotations

import io
import json
import os
import sys
import traceback
from collections.abc import Callable

from safetensors import SafetensorError

from models.errors import Interrupted, ProctorError, RecipeError, Rejected

_ERROR, _REJECTED, _USAGE, _CANCELED = 2, 3, 4, 130


def ended(work: Callable[[], int], *, as_json: bool) -> int:
    """Do the work of a process, and give what went wrong as its result or on stderr.

    Never 1, which a gate takes for a verdict and Python gives for a traceback; nor Python's 120 for a result
    that nobody could be given.

    Args:
        work: Returns the exit code; errors have those of ``app.commands.outcome.ExitCode``.
        as_json: Whether errors go to stdout as JSON.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a sign that a terminal lacks ends nothing
    try:
        code = work()
        sys.stdout.flush()
    except ProctorError as error:
        tell(error.code, error.detail, error.hint, as_json=as_json)
        code = _exit_code(error)
    except KeyboardInterrupt:  # before there was anything to keep
        code = _CANCELED
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        tell("os_error", f"{place}{error.strerror or error}.", "", as_json=as_json)
        code = _ERROR
    except SafetensorError as error:  # how its writer tells of a full disk
        tell("os_error", f"A file of weights could not be written or read: {error}.", "", as_json=as_json)
        code = _ERROR
    except Exception as error:
        if os.environ.get("PROCTOR_DEBUG"):
            traceback.print_exception(error)
        reason = (str(error).splitlines() or [""])[0]
        hint = "Set PROCTOR_DEBUG=1 and repeat it; a report of this fault needs what is then shown."
        tell("internal_error", f"Proctor failed by {type(error).__name__}: {reason}", hint, as_json=as_json)
        code = _ERROR
    return code if _flushed() else code or _ERROR


def tell(code: str, detail: str, hint: str, *, as_json: bool) -> None:
    """Write an error: as JSON to stdout when asked to and it can be written, else to stderr for people."""
    if as_json:
        try:
            failure = {"code": code, "detail": detail, "hint": hint}
            sys.stdout.write(json.dumps({"error": failure}, indent=2) + "\n")
            sys.stdout.flush()
        except OSError:
            pass
        else:
            return
    sys.stderr.write(f"Error: {detail}\n" + (f"Hint:  {hint}\n" if hint else ""))


def _flushed() -> bool:
    """Whether everything is written; if not, drop it, or Python would try again on its way out."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True


def _exit_code(error: ProctorError) -> int:
    if isinstance(error, Interrupted):
        return _CANCELED
    if isinstance(error, RecipeError):
        return _USAGE
    return _REJECTED if isinstance(error, Rejected) else _ERROR
