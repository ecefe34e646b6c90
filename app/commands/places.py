"""``--set PLACE=VALUE``: reach any field of a recipe from the command line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NoReturn, TextIO

from app.commands.outcome import CommandError, ExitCode


def read_recipe(file: TextIO) -> dict[str, Any]:
    """Read a recipe from a file.

    Raises:
        CommandError: ``recipe_invalid`` if it is no JSON object in UTF-8.
    """
    try:
        recipe = _json(file.read())
    except (ValueError, RecursionError) as error:
        raise _invalid(f"The recipe is not JSON: {error}.") from error
    if not isinstance(recipe, dict):
        raise _invalid("The recipe must be a JSON object.")
    return recipe


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
        return _json(text)
    except ValueError:
        return text
    except RecursionError:
        raise _invalid("A value of --set is nested too deeply.") from None


def _json(text: str) -> object:
    """Read JSON and not what Python takes beyond it: NaN and Infinity."""
    return json.loads(text, parse_constant=_no_number)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _invalid(detail: str) -> CommandError:
    return CommandError(detail, code="recipe_invalid", exit_code=ExitCode.USAGE)
