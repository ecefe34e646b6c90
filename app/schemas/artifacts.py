"""Artifacts on the wire."""

from __future__ import annotations

from typing import Literal

from app.core.states import Stage
from app.schemas.base import Timestamp, Wire


class ArtifactLinks(Wire):
    """Where the bytes are."""

    content: str
    job: str


class Artifact(Wire):
    """A file that a job published."""

    object: Literal["artifact"] = "artifact"
    id: str
    job: str
    stage: Stage
    """The stage that made it."""
    name: str
    """File name, unique within the job."""
    media_type: str
    size_bytes: int
    sha256: str
    """Of the bytes, in hexadecimal; also the entity tag of the content."""
    created_at: Timestamp
    links: ArtifactLinks
