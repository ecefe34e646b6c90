"""Health and version on the wire."""

from __future__ import annotations

from typing import Literal

from app.schemas.base import Wire
from models.sandbox.profiles import Mode


class Alive(Wire):
    """The process answers."""

    status: Literal["ok"] = "ok"


class SandboxState(Wire):
    """How well this machine can lock in the processes that read uploads."""

    level: Literal["full", "degraded"]
    missing: list[Literal["no_new_privs", "landlock", "seccomp"]]
    mode: Mode


class Ready(Wire):
    """The parts that a request needs, each checked just now."""

    status: Literal["ok"] = "ok"
    database: Literal["ok"] = "ok"
    blobs: Literal["ok"] = "ok"
    sandbox: SandboxState
    upkeep_age_s: float | None
    """Seconds since lost jobs were last looked for; null before the first time. Many minutes mean that the
    scheduler, the broker or the worker for ``upkeep`` is down; requests are served all the same."""


class Version(Wire):
    """What is running."""

    name: Literal["proctor"] = "proctor"
    version: str
    api: Literal["v1"] = "v1"
