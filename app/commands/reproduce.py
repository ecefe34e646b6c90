"""``proctor reproduce``: run a paper's table again, or a slice of it, beside the paper's numbers."""

from __future__ import annotations

from pathlib import Path

import click

from app.commands.lab_process import run_lab
from app.commands.outcome import Output, proctor_command

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_FILE = click.Path(dir_okay=False, path_type=Path)


@proctor_command("reproduce")
@click.argument("table")
@click.option(
    "--budget",
    type=click.Choice(["small", "medium", "paper"]),
    default="small",
    show_default=True,
    help="small: two CPU cores overnight; paper: the paper's own lengths, on a GPU.",
)
@click.option(
    "--data", type=_FOLDER, help="Folder of CIFAR-10: train.zip and test.zip, or its python archive."
)
@click.option(
    "--patterns", type=_FOLDER, help="Folder with published trigger pictures, which rows that name them need."
)
@click.option("--checkpoints", type=_FOLDER, help="Folder with the public checkpoints that a table names.")
@click.option(
    "--photograph",
    "photographs",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Source of out-of-distribution patches instead of the builtin ones; repeatable.",
)
@click.option(
    "--work",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("out/reproduce"),
    show_default=True,
    help="Folder for teachers and half-done work.",
)
@click.option(
    "--store", type=_FILE, help="File of measured students, one per line [default: WORK/TABLE-BUDGET.jsonl]."
)
@click.option("--write", type=_FILE, help="Put the table into this Markdown page, in place of an older one.")
@click.option(
    "--minutes", type=click.FloatRange(min=0), help="Begin no student after so long; 0 only prints the table."
)
@click.option(
    "--only", default="", metavar="TEXT", help="Only students whose teacher, method and seed contain this."
)
@click.option("--device", type=click.Choice(["cpu", "gpu"]), default="cpu", show_default=True)
@click.option("--threads", type=click.IntRange(min=1), help="Threads to compute with.")
def command(
    *,
    output: Output,
    table: str,
    budget: str,
    photographs: tuple[Path, ...],
    work: Path,
    store: Path | None,
    minutes: float | None,
    only: str,
    device: str,
    threads: int | None,
    **files: Path | None,
) -> int:
    """Measure what TABLE still lacks and print it: digits, digits-fast, abd-t1, abd-t2-ood, abd-t2-cmi,
    fast, robustkd-t6, nasty-t1, clip-attacker.

    Every student is kept as soon as it is measured. Stopped or killed, the same command goes on where it was,
    at most a minute back. The store's keys change with every recipe, so a table never mixes lengths.

    \b
    proctor reproduce digits --minutes 30
    proctor reproduce abd-t2-ood --data cifar10 --patterns triggers --checkpoints teachers
    """
    request = {
        "table": table,
        "budget": budget,
        "work": str(work),
        "store": str(store or work / f"{table}-{budget}.jsonl"),
        "photographs": [str(path) for path in photographs],
        "minutes": minutes,
        "only": only,
        "device": device,
        "threads": threads,
        "json": output.as_json,
        **{name: None if path is None else str(path) for name, path in files.items()},
    }
    return run_lab("models.lab.reproduction", request)
