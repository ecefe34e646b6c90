"""What options say about a job's recipe and trigger, and whether the service could take the whole."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel, ValidationError

from app.client.api import Document
from app.commands.outcome import CommandError, ExitCode
from app.commands.places import put, put_all, read_recipe
from app.schemas.jobs import JobRequest
from app.schemas.teachers import TeacherQuery
from app.schemas.triggers import MAX_PNG_BYTES

#: In place of the teacher, which is uploaded after everything else is checked.
_ANY_TEACHER = f"tch_{'0' * 26}"
_OPTION_OF = {"target_label": "--trigger-target", "opacity": "--trigger-opacity", "labels": "--label"}
_MAX_SHOWN = 5
_OF_PIXELS = "Means and deviations are those of pixels in [0, 1]: divide those of pixels up to 255 by 255."
#: By the first part of a wrong field's place.
_HINTS = {
    "recipe": "docs/recipe.md says what the fields of a recipe take.",
    "mean": _OF_PIXELS,
    "std": _OF_PIXELS,
}


def recipe_of(given: Mapping[str, Any]) -> Document:
    """Build the recipe: the file's, with what options say laid on it.

    Raises:
        CommandError: ``recipe_invalid`` if the file is no JSON object, or a section of it is a value.
    """
    recipe = {} if given["recipe"] is None else read_recipe(given["recipe"])
    for name in ("method", "defense", "seed"):
        if given[name] is not None:
            recipe[name] = given[name]
    if given["student"] is not None:
        put(recipe, "student.architecture", given["student"])
    if given["channel"]:
        put(recipe, "probe.channels", list(given["channel"]))
    put_all(recipe, given["settings"] or ())
    return recipe


def trigger_of(given: Mapping[str, Any]) -> Document | None:
    """Build the trigger that the user knows; None without one.

    Raises:
        click.UsageError: If options contradict each other, or the picture cannot be used.
    """
    details = ("trigger_target", "trigger_kind", "trigger_opacity")
    if given["trigger"] is None:
        if any(given[name] is not None for name in details):
            raise click.UsageError("--trigger-target, --trigger-kind and --trigger-opacity need --trigger.")
        return None
    if given["trigger_target"] is None:
        raise click.UsageError("--trigger needs --trigger-target, the class it leads to.")
    path = Path(given["trigger"])
    trigger: Document = {"name": _trigger_name(path), "target_label": given["trigger_target"]}
    if given["trigger_opacity"] is not None:
        trigger["opacity"] = given["trigger_opacity"]
    if path.is_file():
        return {**trigger, "png": _png(path), "kind": given["trigger_kind"] or "replace"}
    if path.suffix:
        raise click.UsageError(f"There is no file {given['trigger']!r}.")
    if given["trigger_kind"] is not None:
        raise click.UsageError("--trigger-kind is for a PNG; a built-in trigger brings its own.")
    return {**trigger, "catalog": given["trigger"]}


def _trigger_name(path: Path) -> str:
    """Make a name that the service takes from a file's; ``löwe.png`` becomes ``l-we``."""
    return re.sub(r"[^A-Za-z0-9 _.-]", "-", path.stem).lstrip(" _.-")[:64] or "trigger"


def _png(path: Path) -> str:
    with path.open("rb") as file:
        content = file.read(MAX_PNG_BYTES + 1)
    if not content.startswith(b"\x89PNG"):
        raise click.UsageError(f"{path} is not a PNG file.")
    if len(content) > MAX_PNG_BYTES:
        raise click.UsageError(f"{path} is larger than 256 KiB.")
    return base64.b64encode(content).decode("ascii")


def check_request(request: Document) -> None:
    """Check a job request without a server, before anything is uploaded for it.

    Raises:
        CommandError: ``invalid_request`` with exit code 4, naming what is wrong.
    """
    _check(JobRequest, {**request, "teacher": _ANY_TEACHER})


def check_declarations(teacher: Mapping[str, str]) -> None:
    """Check what is said about a teacher, apart from its layer list.

    Raises:
        CommandError: ``invalid_request`` with exit code 4, naming what is wrong.
        click.UsageError: If there is a mean without a deviation, or a deviation without a mean.
    """
    if ("mean" in teacher) != ("std" in teacher):
        raise click.UsageError("--mean and --std belong together: give both, or neither.")
    _check(TeacherQuery, teacher)


def _check(schema: type[BaseModel], values: Mapping[str, Any]) -> None:
    try:
        schema.model_validate(values)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False, include_context=False)[:_MAX_SHOWN]
        told = [f"{_place(fault['loc'])}: {fault['msg'].removeprefix('Value error, ')}" for fault in faults]
        places = {str(fault["loc"][0]) for fault in faults}
        raise CommandError(
            "; ".join(told) + ".",
            code="invalid_request",
            hint=next((hint for place, hint in _HINTS.items() if place in places), ""),
            exit_code=ExitCode.USAGE,
        ) from error


def _place(location: Sequence[int | str]) -> str:
    """Say where a fault is in the words of the command line."""
    first, last = str(location[0]), str(location[-1])
    if first == "recipe":
        return ".".join(map(str, location))
    if first == "triggers":
        return _OPTION_OF.get(last, "--trigger")
    return _OPTION_OF.get(first, f"--{first.replace('_', '-')}")
