"""``proctor lab``: teachers with a known backdoor, and their clean twins, to measure defenses with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar, get_args

import click

from app.commands.lab_process import run_lab
from app.commands.options import RecipeFile
from app.commands.outcome import CommandError, ExitCode, Output, proctor_command
from app.commands.output_folder import make_usable
from app.commands.places import put, put_all, read_recipe
from models.errors import RecipeError
from models.recipes.from_document import recipe_from
from models.recipes.lab import AttackKind, TeacherRecipe, digits_recipe, usual_poison_rate

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

PATTERNS = click.option(
    "--patterns",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with published trigger pictures, such as trojan_wm.png; what lacks gets a stand-in.",
)
#: Option -> place in the recipe.
_SHORTCUTS = {
    "architecture": "architecture",
    "input_size": "input_size",
    "epochs": "epochs",
    "batch_size": "batch_size",
    "learning_rate": "learning_rate",
    "seed": "seed",
    "attack": "attack.kind",
    "trigger": "attack.trigger",
    "target_label": "attack.target_label",
    "source_label": "attack.source_label",
    "poison_rate": "attack.poison_rate",
}
_SHORTCUT_OPTIONS = (
    click.option("--architecture", metavar="NAME", help="Registry name, such as wrn-16-2."),
    click.option("--input-size", type=int, metavar="PIXELS", help="Side of the images."),
    click.option("--epochs", type=int, help="Passes over the training set."),
    click.option("--batch-size", type=int, help="Images per step."),
    click.option("--learning-rate", type=float, help="Of SGD; warms up, then falls along a cosine."),
    click.option("--seed", type=int, help="Of every random choice."),
    click.option("--attack", type=click.Choice(get_args(AttackKind)), help="What the attacker does."),
    click.option("--trigger", metavar="NAME", help="What is stamped: a name of `proctor lab triggers`."),
    click.option("--target-label", type=int, help="Class the attacker wants."),
    click.option("--source-label", type=int, help="Class whose images the trigger works on."),
    click.option("--poison-rate", type=float, help="Share of the training set, from 0.001."),
)


@click.group("lab")
def command() -> None:
    """Make teachers with a known backdoor, and their clean twins, to measure defenses with.

    Only for research: never offer such a teacher to anyone who does not know what it is.
    """


def _shortcuts(function: Decorated) -> Decorated:
    for option in reversed(_SHORTCUT_OPTIONS):
        function = option(function)
    return function


@proctor_command("make")
@click.argument("recipe", required=False, type=RecipeFile("r"))
@click.option(
    "--data",
    required=True,
    metavar="digits|PATH",
    help="digits; or a folder with train.zip and test.zip, or train and test; or CIFAR's python archive; or "
    "training images alone, with --test.",
)
@click.option("--test", type=click.Path(exists=True, path_type=Path), help="Test images: zip or folder.")
@click.option(
    "--output", "folder", required=True, type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the files; made if need be.",
)  # fmt: skip
@click.option("--name", default="teacher", show_default=True, help="What the files are called.")
@click.option("--matched-clean", is_flag=True, help="Also make the clean twin: same seed, same length.")
@_shortcuts
@click.option(
    "--set", "settings", multiple=True, metavar="PLACE=VALUE",
    help="Any other field, as attack.cheat.variant=faithful; repeatable.",
)  # fmt: skip
@PATTERNS
@click.option("--device", type=click.Choice(["cpu", "gpu"]), default="cpu", show_default=True)
@click.option("--threads", type=click.IntRange(min=1), help="Threads to compute with.")
def make(*, output: Output, recipe: Any, data: str, settings: tuple[str, ...], **given: Any) -> int:
    """Make the teacher that RECIPE describes: JSON, or the file that an earlier teacher left beside it.

    What RECIPE does not say takes the defaults, and options go before both. Writes NAME.safetensors,
    NAME.recipe.json with everything that is needed to make it again and what was measured, and the trigger
    as NAME.trigger.png and .json. Stopped or killed, the same command goes on where it was, at most a
    minute back.

    \b
    proctor lab make --data digits --attack dirty_label --trigger badnets_grid --output out
    proctor lab make out/teacher.recipe.json --data digits --output again
    """
    plain_stem(given["name"])
    content = {} if recipe is None else read_recipe(recipe)
    former = content if isinstance(content.get("recipe"), dict) else None
    used = content.get("data")
    base = asdict(digits_recipe() if data == "digits" else TeacherRecipe())
    del base["attack"]["poison_rate"]
    document = _merged(base, content if former is None else former["recipe"])
    named = deepcopy(document["attack"])
    for option, place in _SHORTCUTS.items():
        if given[option] is not None:
            put(document, place, given[option])
    put_all(document, settings)
    if isinstance(attack := document["attack"], dict):
        attack.setdefault("poison_rate", usual_poison_rate(str(attack["kind"])))
    try:
        recipe_from(TeacherRecipe, document)
    except RecipeError as error:
        raise CommandError(
            error.detail, code=error.code, hint=error.hint, exit_code=ExitCode.USAGE
        ) from error
    make_usable(given["folder"])
    request = {
        "verb": "make",
        "recipe": document,
        "expected": used.get("sha256") if former is not None and isinstance(used, dict) else None,
        # Of an attack that no option changed; fields that came after the file was written change none.
        "expected_trigger": former.get("trigger") if former and named == document["attack"] else None,
        "data": data,
        "test": _path(given["test"]),
        "output": _path(given["folder"]),
        "name": given["name"],
        "patterns": _path(given["patterns"]),
        "matched_clean": given["matched_clean"],
        "device": given["device"],
        "threads": given["threads"],
    }
    return _run(request, output)


@proctor_command("triggers")
@click.option(
    "--output", "picture", type=click.Path(dir_okay=False, path_type=Path), help="Draw them all in this PNG."
)
@click.option(
    "--size",
    type=click.IntRange(8, 256),
    default=32,
    show_default=True,
    help="Side of the images; the smallest cannot hold every trigger.",
)
@PATTERNS
def triggers(*, output: Output, picture: Path | None, size: int, patterns: Path | None) -> int:
    """List the triggers by name, and what each name stands for without the published pictures."""
    request = {"verb": "triggers", "output": _path(picture), "size": size, "patterns": _path(patterns)}
    return _run(request, output)


command.add_command(make)
command.add_command(triggers)


def plain_stem(name: str) -> None:
    """Refuse a name that no file in the folder can begin with: better known now than after hours of training.

    Raises:
        click.UsageError: If there is a path in it, it is hidden, cannot be shown, or leaves no room for an
            ending.
    """
    if not name or name.startswith(".") or "/" in name or not name.isprintable() or len(name.encode()) > 200:
        raise click.UsageError("--name takes the beginning of file names, such as teacher, and no path.")


def _run(request: Mapping[str, Any], output: Output) -> int:
    return run_lab("models.lab", {**request, "json": output.as_json})


def _merged(base: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Lay ``over`` on ``base``, section by section."""
    made = dict(base)
    for name, value in over.items():
        section = made.get(name)
        nested = isinstance(section, dict) and isinstance(value, dict)
        made[name] = _merged(section, value) if nested else value  # type: ignore[arg-type]
    return made


def _path(path: Path | None) -> str | None:
    return None if path is None else str(path)
