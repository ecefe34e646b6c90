"""``--set PLACE=VALUE``: reach any field of a recipe from the command line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from app.commands.outcome import CommandError, ExitCode


def put_all(document: dict[str, Any], settings: Iterable[str]) -> None:
    """Put every ``PLACE=VALUE`` into a recipe, in place.

    Args:
        document: The recipe.
        settings: A place names sections and a field with dots between; a value is JSON, and what is none is a
            string.

    Raises:
        CommandError: ``recipe_invalid`` if there is no ``=``, or a section is a value.
    """
    for setting in settings:
        place, equals, text = setting.partition("=")
        if not place or not equals:
            raise _invalid(f"--set {setting} is not PLACE=VALUE.")
        put(document, place, _value(text))


def put(document: dict[str, Any], place: str, value: object) -> None:
    """Put one value at its place.

    Raises:
        CommandError: ``recipe_invalid`` if a section is a value.
    """
    *sections, name = place.split(".")
    for section in sections:
        inner = document.setdefault(section, {})
        if not isinstance(inner, dict):
            raise _invalid(f"recipe.{section} has no fields.")
        document = inner
    document[name] = value


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _invalid(detail: str) -> CommandError:
    return CommandError(detail, code="recipe_invalid", exit_code=ExitCode.USAGE)
