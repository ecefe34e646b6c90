"""``proctor migrate``: bring the database up to date."""

from __future__ import annotations

from pathlib import Path

from app.commands.options import home_option, settings_of
from app.commands.outcome import ExitCode, Output, proctor_command
from app.preparation import prepare_database


@proctor_command("migrate")
@home_option
def command(*, output: Output, home: Path | None) -> int:
    """Create the database's tables, or bring them up to date; `proctor serve` does it by itself."""
    prepare_database(settings_of(home=home))
    output.emit({"migrated": True}, "The database is up to date.")
    return ExitCode.ACCEPTED
