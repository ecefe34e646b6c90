"""``proctor scheduler``: send the upkeep tick; for containers and clusters."""

from __future__ import annotations

from pathlib import Path

from app.commands.options import home_option, settings_of
from app.commands.outcome import Output, proctor_command
from app.commands.worker import become
from app.embedded import child_environment, scheduler_command
from app.home import enter_home


@proctor_command("scheduler")
@home_option
def command(*, output: Output, home: Path | None) -> int:
    """Run the scheduler, which keeps lost and abandoned jobs moving. Run exactly one per database."""
    del output
    settings = settings_of(home=home)
    enter_home(settings)
    return become(scheduler_command(), child_environment(settings))
