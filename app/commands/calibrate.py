"""``proctor calibrate``: what clean networks score, so that a verdict has a stated false-positive rate."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import click

from app.commands.lab_process import run_lab
from app.commands.options import read_triple, settings_of
from app.commands.outcome import Output, proctor_command
from app.commands.output_folder import make_usable
from models.recipes.architecture import MAX_INPUT_SIZE
from models.recipes.ood import PatchStyle
from models.recipes.probe import Surrogates

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@proctor_command("calibrate")
@click.option(
    "--checkpoints",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of clean checkpoints; a subfolder's name says what was done to those in it.",
)
@click.option(
    "--output",
    "target",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="SET.json",
    help="The set; its name is that of the file.",
)
@click.option(
    "--budget",
    type=click.Choice(["quick", "standard", "thorough"]),
    default="standard",
    show_default=True,
    help="The set is for audits of this budget.",
)
@click.option(
    "--images",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="ZIP",
    help="Clean images: the set is for audits that have some; without, for audits without.",
)
@click.option(
    "--patch-style",
    type=click.Choice(get_args(PatchStyle)),
    default="photo",
    show_default=True,
    help="Of the patches that audits without images take; as in their recipe's ood.patch_style.",
)
@click.option(
    "--surrogates",
    type=click.Choice([kind for kind in get_args(Surrogates) if kind != "auto"]),
    default="patches",
    show_default=True,
    help="What audits without images search on; as in their recipe's probe.surrogates.",
)
@click.option(
    "--task",
    metavar="NAME",
    help="What the classes are, as cifar10: audits whose recipe names the same task compare class by class.",
)
@click.option(
    "--make",
    "count",
    type=click.IntRange(1, 2000),
    metavar="N",
    help="First train N clean networks of --architecture into the folder; those that are there are kept.",
)
@click.option("--data", metavar="digits|PATH", help="What they learn, as for `proctor lab make`.")
@click.option("--epochs", type=click.IntRange(min=1), help="Passes of a plain one over the training set.")
@click.option("--batch-size", type=click.IntRange(min=1), help="Images per step of theirs.")
@click.option("--learning-rate", type=click.FloatRange(min=0, min_open=True), help="Of a plain one.")
@click.option(
    "--first-seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of those that are made."
)
@click.option("--architecture", metavar="NAME", help="Of all checkpoints, if it is not inferred.")
@click.option("--num-classes", type=click.IntRange(2, 1000), help="Number of classes.")
@click.option(
    "--input-size", type=click.IntRange(8, MAX_INPUT_SIZE), help="Side of the square input in pixels."
)
@click.option("--mean", metavar="R,G,B", help="Channel means that they expect subtracted, in [0, 1].")
@click.option("--std", metavar="R,G,B", help="Channel deviations that they expect divided by.")
@click.option("--device", type=click.Choice(["cpu", "gpu"]), default="cpu", show_default=True)
@click.option("--threads", type=click.IntRange(min=1), help="Threads to compute with.")
def command(
    *,
    output: Output,
    checkpoints: Path,
    target: Path,
    budget: str,
    images: Path | None,
    patch_style: str,
    surrogates: str,
    task: str | None,
    count: int | None,
    data: str | None,
    epochs: int | None,
    batch_size: int | None,
    learning_rate: float | None,
    first_seed: int,
    device: str,
    threads: int | None,
    **given: Any,
) -> int:
    """Score clean checkpoints of one architecture, and write their scores into a reference set.

    19 references allow the verdict `detected` at a false-positive rate of 5 %; a set holds no weights. Scores
    are kept beside it as soon as they are known: stopped or killed, the same command goes on where it was.
    Put the set into the folder PROCTOR_CALIBRATION_DIR to have audits use it (docs/verdict.md).

    \b
    proctor calibrate --checkpoints clean/ --output wrn-16-2-cifar.json --num-classes 10
    proctor calibrate --checkpoints made/ --make 19 --data digits --architecture wrn-10-2 --output digits.json
    """
    if not _NAME.fullmatch(target.stem):
        raise click.UsageError("The set's file has a name of lower-case letters, digits, '.', '_' and '-'.")
    if task is not None and not _NAME.fullmatch(task):
        raise click.UsageError("A task has a name of lower-case letters, digits, '.', '_' and '-'.")
    plain = _given({"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate})
    make = _making(checkpoints, count, data, first_seed, plain)
    declared = _given(given)
    if ("mean" in declared) != ("std" in declared):
        raise click.UsageError("--mean and --std belong together: give both, or neither.")
    for name in ("mean", "std"):
        if name in declared:
            declared[name] = read_triple(name, declared[name])
    make_usable(target.parent)
    request = {
        "checkpoints": str(checkpoints),
        "output": str(target),
        "budget": budget,
        "images": None if images is None else str(images),
        "patch_style": patch_style,
        "surrogates": surrogates,
        "task": task,
        "declared": declared,
        "make": make,
        "device": device,
        "threads": threads,
        "sandbox": settings_of().sandbox,
        "json": output.as_json,
    }
    return run_lab("models.lab.calibration", request)


def _making(
    checkpoints: Path, count: int | None, data: str | None, first_seed: int, plain: dict[str, Any]
) -> dict[str, Any] | None:
    """Say what is to be trained first; None if the networks are there already.

    Raises:
        click.UsageError: If what to learn from is missing, if it says nothing because nothing is trained, or
            if there is no folder.
    """
    if count is not None:
        if data is None:
            raise click.UsageError("--make needs --data: digits, or where the training images are.")
        return {"count": count, "data": data, "first_seed": first_seed, "plain": plain}
    if data is not None or plain:
        name = "data" if data is not None else next(iter(plain)).replace("_", "-")
        raise click.UsageError(f"--{name} says how networks are trained: it needs --make.")
    if not checkpoints.is_dir():
        raise click.UsageError(f"There is no folder {checkpoints}; --make would fill one.")
    return None


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}
