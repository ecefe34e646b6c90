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


class Version(Wire):
    """What is running."""

    name: Literal["proctor"] = "proctor"
    version: str
    api: Literal["v1"] = "v1"
