"""``proctor doctor``: does everything that Proctor needs work on this machine?"""

from __future__ import annotations

from pathlib import Path

from rich.markup import escape
from rich.table import Table

from app.commands.options import home_option, settings_of
from app.commands.outcome import ExitCode, Output, proctor_command
from app.diagnosis import CHECKS, Finding, examine

_MARKS = {"ok": "[green]ok", "warning": "[yellow]warning", "failed": "[red]failed"}


@proctor_command("doctor")
@home_option
def command(*, output: Output, home: Path | None) -> int:
    """Check Python, torch, settings, database, queue, blobs, key, sandbox, references, upkeep, threads.

    Says what to do about faults.
    """
    settings = settings_of(home=home)
    findings = [examine(check, settings) for check in CHECKS]
    output.emit([finding.document() for finding in findings], _table(findings))
    failed = any(finding.state == "failed" for finding in findings)
    return ExitCode.ERROR if failed else ExitCode.ACCEPTED


def _table(findings: list[Finding]) -> Table:
    table = Table("check", "")
    table.add_column("found", overflow="fold")
    table.add_column("what to do", overflow="fold")
    for finding in findings:
        table.add_row(finding.name, _MARKS[finding.state], escape(finding.detail), escape(finding.hint))
    return table
