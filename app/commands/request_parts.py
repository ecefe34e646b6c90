"""What options say about a job's recipe and trigger, and whether the service could take the whole."""

from __future__ import annotations

import base64
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click
from pydantic import BaseModel, ValidationError

from app.client.api import Document
from app.commands.outcome import CommandError, ExitCode
from app.commands.places import put, put_all, read_recipe
from app.core.states import JobKind
from app.schemas.jobs import JobRequest
from app.schemas.teachers import TeacherQuery
from app.schemas.triggers import MAX_PNG_BYTES
from app.services.recipe_check import check_recipe
from models.errors import RecipeError
from models.recipes.architecture_catalog import validate_name
from models.recipes.trigger_names import TRIGGER_NAMES

S = TypeVar("S", bound=BaseModel)

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
    classes = given["num_classes"]
    if classes is not None and not 0 <= given["trigger_target"] < classes:
        raise click.UsageError(f"--trigger-target is none of the classes 0 to {classes - 1}.")
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
    if given["trigger"] not in TRIGGER_NAMES:
        names = ", ".join(TRIGGER_NAMES)
        raise click.UsageError(
            f"{given['trigger']!r} is neither a file nor a built-in trigger; there are {names}."
        )
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


def check_request(request: Document, data: Container[str]) -> None:
    """Check a job request without a server, before anything is uploaded for it.

    Args:
        request: Without identifiers.
        data: What images are given for: labelled, unlabelled, surrogate.

    Raises:
        CommandError: With exit code 4 and the code with which the service would refuse it.
    """
    asked = _check(JobRequest, {**request, "teacher": _ANY_TEACHER})
    with _refusals():
        check_recipe(
            JobKind(asked.kind),
            asked.recipe,
            labelled="labelled" in data,
            unlabelled="unlabelled" in data,
            triggers=len(asked.triggers),
        )


def check_declarations(teacher: Mapping[str, str]) -> None:
    """Check what is said about a teacher, apart from its layer list.

    Raises:
        CommandError: With exit code 4 and the code with which the service would refuse it.
        click.UsageError: If there is a mean without a deviation, or a deviation without a mean.
    """
    if ("mean" in teacher) != ("std" in teacher):
        raise click.UsageError("--mean and --std belong together: give both, or neither.")
    declared = _check(TeacherQuery, teacher)
    if declared.architecture is not None:
        with _refusals():
            validate_name(declared.architecture)


@contextmanager
def _refusals() -> Iterator[None]:
    """Tell what the library refuses as a fault of the command line."""
    try:
        yield
    except RecipeError as error:
        raise CommandError(
            error.detail, code=error.code, hint=error.hint, exit_code=ExitCode.USAGE
        ) from error


def _check(schema: type[S], values: Mapping[str, Any]) -> S:
    try:
        return schema.model_validate(values)
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
