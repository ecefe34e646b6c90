"""Refusing to start what reads uploads on a machine that cannot lock it in."""

from __future__ import annotations

from app.commands.outcome import CommandError
from app.core.settings import Settings
from models.sandbox.level import sandbox_level
from models.sandbox.profiles import SandboxUnavailable


def require_sandbox(settings: Settings) -> None:
    """Go no further if the settings require a sandbox that this machine does not have.

    Raises:
        CommandError: Names what is missing and the one setting to change.
    """
    if settings.sandbox != "required":
        return
    found = sandbox_level()
    if found.missing:
        error = SandboxUnavailable(found.missing)
        raise CommandError(error.detail, code=error.code, hint=error.hint)
