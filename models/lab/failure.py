"""How a process of the lab tells that it failed, and with which status it ends."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from models.errors import Interrupted, ProctorError, RecipeError, Rejected


def tell_failure(error: ProctorError | OSError, *, as_json: bool) -> int:
    """Write what went wrong: to stdout as JSON with its code, or to stderr as sentences.

    Args:
        error: What was raised. One of the system's has the code ``os_error`` and names its file.
        as_json: What the command was asked for.

    Returns:
        The exit code, as ``app.commands.outcome.ExitCode`` has them.
    """
    told = _in_words(error)
    if as_json:
        sys.stdout.write(json.dumps({"error": told}, indent=2) + "\n")
    else:
        hint = f"Hint:  {told['hint']}\n" if told["hint"] else ""
        sys.stderr.write(f"Error: {told['detail']}\n{hint}")
    if isinstance(error, Interrupted):
        return 130
    if isinstance(error, RecipeError):
        return 4
    return 3 if isinstance(error, Rejected) else 2


def _in_words(error: ProctorError | OSError) -> Mapping[str, Any]:
    if isinstance(error, ProctorError):
        return {"code": error.code, "detail": error.detail, "hint": error.hint}
    place = f"{error.filename}: " if error.filename else ""
    return {"code": "os_error", "detail": f"{place}{error.strerror or error}.", "hint": ""}
