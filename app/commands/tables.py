"""Jobs and their results as people read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from app.commands.hints import in_words_of_options
from app.commands.outcome import undistillable_of

Document = Mapping[str, Any]


def rate_text(rate: Document | None) -> str:
    """Write a share with its 95 % interval."""
    if rate is None:
        return "not measured"
    return f"{rate['value']:.3f} [{rate['low']:.3f}, {rate['high']:.3f}]"


def students_table(verification: Document) -> Table:
    """Put teacher and students side by side, a column each: three rates fit in 80 characters."""
    networks = verification["networks"]
    triggers = list(dict.fromkeys(attack["trigger"] for row in networks for attack in row["attacks"]))
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.title, table.title_style, table.title_justify = "95 % Wilson intervals in brackets", "dim", "left"
    table.add_column("")
    for row in networks:
        name = "teacher" if row["role"] == "teacher" else f"{row['role']} student"
        table.add_column(name, justify="right", no_wrap=True)
    table.add_row("architecture", *(escape(row["architecture"]) for row in networks))
    table.add_row("clean accuracy", *(rate_text(row["accuracy"]) for row in networks))
    for name in triggers:
        found = [{attack["trigger"]: attack["rate"] for attack in row["attacks"]} for row in networks]
        table.add_row(f"attack success: {escape(name)}", *(rate_text(rates.get(name)) for rates in found))
    table.add_row("parameters", *(f"{row['parameters']:,}" for row in networks))
    table.add_row("bytes", *(f"{row['size_bytes']:,}" for row in networks))
    return table


def protection_table(protection: Document) -> Table:
    """Put the original and its protected twin over what students learned from either, and from neither."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.title, table.title_style, table.title_justify = "95 % Wilson intervals in brackets", "dim", "left"
    for name in ("accuracy", "original", "protected", "neither"):
        table.add_column(name, justify="left" if name == "accuracy" else "right", no_wrap=True)
    owner = (rate_text(protection["original_accuracy"]), rate_text(protection["nasty_accuracy"]), "")
    table.add_row("network", *owner)
    for row in protection["students"]:
        table.add_row("student", *(rate_text(row[source]) for source in ("original", "nasty", "labels")))
    return table


def job_text(job: Document) -> RenderableType:
    """Sum up a finished job."""
    parts: list[RenderableType] = [f"{job['id']}  {job['kind']}  [bold]{job['status']}[/bold]"]
    error = job.get("error")
    if error:
        parts.append(f"Error: {escape(str(error.get('detail', '')))}")
        if error.get("hint"):
            parts.append(f"Hint:  {escape(in_words_of_options(str(error['hint'])))}")
    result = job.get("result") or {}
    audit, verification = result.get("probe"), result.get("verify")
    if audit:
        parts.append(f"Teacher:  {escape(audit['sentence'])}")
        nasty = undistillable_of(job)
        if nasty is not None and nasty["word"] == "detected":
            parts.append(f"Nasty:    {escape(nasty['sentence'])}")
    protection = result.get("measure")
    checked = (audit, result.get("distill"), result.get("protect"))
    checks = (stage.get("teacher_check") for stage in checked if stage)
    parts += [f"Warning:  {escape(line)}" for check in checks if check for line in check["warnings"]]
    if verification:
        parts.append(f"Student:  {escape(verification['sentence'])}")
        parts += [f"Warning:  {escape(line)}" for line in verification.get("warnings", ())]
        parts.append(students_table(verification))
    if protection:
        parts += [f"Network:  {escape(protection['sentence'])}", protection_table(protection)]
    return Group(*parts)


def jobs_table(jobs: Iterable[Document]) -> Table:
    """List jobs, one line each."""
    table = Table()
    for title in ("job", "kind", "status", "stage", "verdict", "accepted", "created"):
        table.add_column(title, no_wrap=title == "job")
    for job in jobs:
        accepted = {True: "yes", False: "no", None: ""}[job["accepted"]]
        table.add_row(
            job["id"],
            job["kind"],
            job["status"],
            job["stage"] or "",
            job["verdict"] or "",
            accepted,
            str(job["created_at"])[:19].replace("T", " "),
        )
    return table
