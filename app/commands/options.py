"""Options that several commands share, and what they mean together."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
from pydantic import ValidationError

from app.client.api import Document
from app.commands.output_folder import output_option
from app.commands.request_parts import check_declarations, check_request, recipe_of, trigger_of
from app.core.ids import Prefix, is_id
from app.core.settings import Settings
from models.recipes.architecture import MAX_INPUT_SIZE
from models.recipes.layer_list.limits import MAX_TEXT_BYTES
from models.recipes.trigger_names import TRIGGER_NAMES

F = TypeVar("F", bound=Callable[..., object])

home_option = click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder that everything is kept in.  [default: PROCTOR_HOME]",
)

passing_home_option = click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to keep job and uploads in.  [default: one that is removed at the end]",
)

#: What a job may use images for -> the role in which they are uploaded.
DATA_ROLES = {"labelled": "clean_labelled", "unlabelled": "clean_unlabelled", "surrogate": "surrogate"}
#: Blanks included.
_MAX_LAYERS_BYTES = 1024 * 1024
#: A string, which is kept, or blanks outside of strings. One without an end runs to the end of the text, so
#: that no text is looked at twice.
_BLANKS = re.compile(r'(?s)("(?:[^"\\]|\\.)*+(?:"|\\?\Z))|\s+')


class FileOrId(click.ParamType[Path | str]):
    """A file, as a path, or the identifier of an upload, as text."""

    name = "file or id"

    def __init__(self, prefix: Prefix) -> None:
        """Take the kind of identifier."""
        self.prefix = prefix

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path | str:
        """Tell one from the other, or complain that the value is neither."""
        text = str(value)
        if is_id(self.prefix, text):
            return text
        path = Path(text)
        if not path.is_file():
            self.fail(f"There is no file {text!r}, nor is it the id of an upload.", param, ctx)
        return path


class RecipeFile(click.File):
    """A text file, or - for the standard input, which a process need not have."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Open it."""
        if value == "-" and sys.stdin is None:
            self.fail("There is no standard input.", param, ctx)
        return super().convert(value, param, ctx)


TEACHER = FileOrId("tch")
DATASET = FileOrId("ds")

_TEACHER_OPTIONS = (
    click.option("--architecture", metavar="NAME", help="Teacher's architecture, if it is not inferred."),
    click.option("--state-dict-key", metavar="KEY", help="Which mapping in the file is the model."),
    click.option("--num-classes", type=click.IntRange(2, 1000), help="Number of classes."),
    click.option(
        "--input-size", type=click.IntRange(8, MAX_INPUT_SIZE), help="Side of the square input in pixels."
    ),
    click.option("--mean", metavar="R,G,B", help="Channel means the teacher expects subtracted, in [0, 1]."),
    click.option("--std", metavar="R,G,B", help="Channel deviations the teacher expects divided by."),
    click.option(
        "--layers",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="JSON",
        help="Describes a teacher that is no registry network: a layer list, see docs/formats.md.",
    ),
)
_TRIGGER_OPTIONS = (
    click.option(
        "--trigger",
        metavar="PNG|NAME",
        help=f"A trigger you know: a PNG, or the name of a built-in one: {', '.join(TRIGGER_NAMES)}.",
    ),
    click.option("--trigger-target", type=int, metavar="LABEL", help="The class the trigger leads to."),
    click.option(
        "--trigger-kind",
        type=click.Choice(["replace", "blend", "additive"]),
        help="How a PNG is put onto an image; its alpha channel is the mask.  [default: replace]",
    ),
    click.option("--trigger-opacity", type=click.FloatRange(0, 1, min_open=True), help="Factor on the mask."),
)
_RECIPE_OPTIONS = (
    click.option("--recipe", type=RecipeFile("r"), metavar="FILE|-", help="Recipe as JSON; - reads stdin."),
    click.option(
        "--method",
        type=click.Choice(["auto", "vanilla", "ood", "zskt", "cmi", "fast", "robustkd"]),
        help="How the student learns.",
    ),
    click.option(
        "--defense",
        type=click.Choice(["auto", "none", "abd", "clip", "abd_clip"]),
        help="What keeps the backdoor out.",
    ),
    click.option("--student", metavar="NAME", help="Student's architecture."),
    click.option(
        "--channel",
        type=click.Choice(["ood", "vanilla", "zskt", "cmi", "fast"]),
        multiple=True,
        help="Look whether triggers move over this kind of distillation; once for each.  [default: ood]",
    ),
    click.option("--seed", type=int, help="Seed of every random choice."),
    click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="PLACE=VALUE",
        help="Any other field of the recipe (docs/recipe.md), as probe.task=cifar10 or ood.images=200000; "
        "repeatable.",
    ),
)
_DATA_OPTIONS = (
    click.option("--labelled", type=DATASET, metavar="ZIP|ID", help="Clean images in class folders."),
    click.option("--unlabelled", type=DATASET, metavar="ZIP|ID", help="Clean images without labels."),
    click.option(
        "--surrogate", type=DATASET, metavar="IMAGE|ID", help="A photograph or zip to cut patches from."
    ),
)
_RUN_OPTIONS = (
    click.option(
        "--kind",
        type=click.Choice(["clean", "audit", "distill", "protect"]),
        default="clean",
        show_default=True,
        help="audit probes; distill makes a student; clean does both; protect makes a nasty teacher.",
    ),
    click.option("--device", type=click.Choice(["cpu", "gpu"]), default="cpu", show_default=True),
    click.option("--timeout-s", type=click.IntRange(min=10), help="Fail if it takes longer."),
)
_FOLLOWING_OPTIONS = (
    click.option("--watch", is_flag=True, help="Follow it until it is over."),
    output_option("Follow it, then download its files here.", default=None),
)
JOB_OPTIONS = (*_RUN_OPTIONS, *_DATA_OPTIONS, *_TRIGGER_OPTIONS, *_RECIPE_OPTIONS, *_TEACHER_OPTIONS)


def settings_of(**given: object) -> Settings:
    """Build the settings from the environment and from options, where these were given.

    Raises:
        click.UsageError: If a value is not possible.
    """
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = f"PROCTOR_{str(first['loc'][0]).upper().removeprefix('PROCTOR_')}"
        told = first["msg"].removeprefix("Value error, ")
        raise click.UsageError(f"{name} is not possible: {told}.") from error


def job_options(function: F) -> F:
    """Add everything that describes a job; the callback collects it with ``JobOptions.of``."""
    return _with(JOB_OPTIONS, function)


def teacher_options(function: F) -> F:
    """Add what a user may say about a checkpoint."""
    return _with(_TEACHER_OPTIONS, function)


def following_options(function: F) -> F:
    """Add ``watch`` and ``folder``: to stay until a job is over, and to fetch what it made."""
    return _with(_FOLLOWING_OPTIONS, function)


def _with(options: Sequence[Callable[[F], F]], function: F) -> F:
    for option in reversed(options):
        function = option(function)
    return function


@dataclass(frozen=True)
class JobOptions:
    """What the user asked for, checked as far as it can be without a server."""

    teacher: Mapping[str, str]
    """Query parameters of the teacher's upload."""
    data: Mapping[str, Path | str]
    """File or id, by what it is used for: labelled, unlabelled, surrogate."""
    request: Document
    """The job request without identifiers."""

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> JobOptions:
        """Collect the values of ``JOB_OPTIONS``, and of ``labels`` where a command has some.

        Raises:
            click.UsageError: If they contradict each other or name files that cannot be used.
            CommandError: With exit code 4, if the service could not take them.
        """
        request: Document = {"kind": given["kind"], "device": given["device"], "recipe": recipe_of(given)}
        if given["timeout_s"] is not None:
            request["timeout_s"] = given["timeout_s"]
        trigger = trigger_of(given)
        if trigger is not None:
            request["triggers"] = [trigger]
        if given.get("labels"):
            request["labels"] = given["labels"]
        data = {use: given[use] for use in DATA_ROLES if given[use] is not None}
        check_request(request, data)
        return cls(teacher=declarations_of(given), data=data, request=request)


def declarations_of(given: Mapping[str, Any]) -> dict[str, str]:
    """Collect the values of ``teacher_options`` as the query of an upload.

    Raises:
        click.UsageError: If one is given without the other it needs, or the layer list is no text.
        CommandError: With exit code 4, if the service could not take them.
    """
    names = ("architecture", "state_dict_key", "num_classes", "input_size", "mean", "std")
    teacher = {name: str(given[name]) for name in names if given[name] is not None}
    check_declarations(teacher)
    if given["layers"] is not None:
        teacher["layers"] = read_layers(given["layers"])
    return teacher


def read_layers(path: Path) -> str:
    """Read a layer list and take out the blanks between its parts, because it travels in a query.

    The service checks the rest, and names the layer that is wrong.

    Raises:
        click.UsageError: If the file is no text, or longer than any layer list.
    """
    with path.open("rb") as file:
        content = file.read(_MAX_LAYERS_BYTES + 1)
    try:
        text = _BLANKS.sub(r"\1", content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{path} is not a layer list: it is no text in UTF-8.") from error
    if len(content) > _MAX_LAYERS_BYTES or len(text) > MAX_TEXT_BYTES:
        raise click.UsageError(f"{path} is longer than the {MAX_TEXT_BYTES:,} bytes of a layer list.")
    return text


def read_triple(name: str, text: str) -> list[float]:
    """Read one number per color channel.

    Raises:
        click.UsageError: If there are not three.
    """
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != 3:
        raise click.UsageError(f"--{name} takes three numbers, such as 0.49,0.48,0.45.")
    return numbers
