"""Health and version on the wire."""

from __future__ import annotations

from typing import Literal

from app.schemas.base import Wire


class Alive(Wire):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Ready(Wire):
    """The parts that a request needs, each checked just now."""

    status: Literal["ok"] = "ok"
    database: Literal["ok"] = "ok"
    blobs: Literal["ok"] = "ok"


class Version(Wire):
    """What is running."""

    name: Literal["proctor"] = "proctor"
    version: str
    api: Literal["v1"] = "v1"
