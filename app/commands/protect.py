"""``proctor protect``: make a network of one's own useless to distill from, in the foreground."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from app.commands.options import JobOptions, RecipeFile, passing_home_option, teacher_options
from app.commands.outcome import Output, proctor_command
from app.commands.output_folder import output_option
from app.commands.run import run_here

#: Options of this command that are fields of ``recipe.protect``, and those of its part ``harm``.
_FIELDS = ("omega", "temperature", "start", "max_images")
_HARM = {"student": "architecture", "repetitions": "repetitions"}


@proctor_command("protect")
@click.argument("teacher", metavar="TEACHER", type=click.Path(exists=True, dir_okay=False))
@click.option(
    "--data",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    metavar="ZIP",
    help="The images it was trained for, in class folders.",
)
@click.option(
    "--omega", type=float, help="Weight of the protection; larger harms students and accuracy more."
)
@click.option(
    "--temperature", type=float, help="At which its answers mislead; 4 for ten classes, 20 for 100."
)
@click.option(
    "--start", type=click.Choice(["scratch", "original"]), help="Train anew, or on from TEACHER's weights."
)
@click.option("--max-images", type=int, help="Images shown in training at most.")
@click.option("--student", metavar="NAME", help="Architecture of the students that measure the harm.")
@click.option("--repetitions", type=int, help="Times each student is trained, with another seed each.")
@click.option("--recipe", type=RecipeFile("r"), metavar="FILE|-", help="Recipe as JSON; - reads stdin.")
@click.option("--seed", type=int, help="Seed of every random choice.")
@click.option("--device", type=click.Choice(["cpu", "gpu"]), default="cpu", show_default=True)
@click.option("--timeout-s", type=click.IntRange(min=10), help="Fail if it takes longer.")
@teacher_options
@output_option("Protected network, measurements and report go here.")
@passing_home_option
def command(*, output: Output, teacher: str, folder: Path, home: Path | None, **given: Any) -> int:
    """Train a twin of TEACHER that is as accurate, but from whose answers a student learns badly.

    The network should be your own: the images it was trained for are needed, with their labels. The result is
    measured: its accuracy beside the original's, and students of both beside a student of the labels alone.
    Exit code 1: too much accuracy was lost, or students are not harmed enough.
    """
    return run_here(output, teacher, protect_options(given), folder, home)


def protect_options(given: Mapping[str, Any]) -> JobOptions:
    """Collect the command's values into the request of a ``protect`` job.

    Raises:
        click.UsageError: If options contradict each other.
        CommandError: With exit code 4, if the recipe is none that the service could take.
    """
    fields = {f"protect.{name}": given[name] for name in _FIELDS}
    fields |= {f"protect.harm.{field}": given[name] for name, field in _HARM.items()}
    settings = [f"{place}={json.dumps(value)}" for place, value in fields.items() if value is not None]
    asked = {**given, "kind": "protect", "labelled": given["data"], "student": None, "settings": settings}
    # What a job may be told and this command does not offer counts as not given.
    return JobOptions.of(defaultdict(lambda: None, asked))
