"""Events on the wire."""

from __future__ import annotations

from typing import Any, Literal

from app.core.states import EventKind
from app.schemas.base import Timestamp, Wire


class Event(Wire):
    """Something that happened to a job."""

    object: Literal["event"] = "event"
    seq: int
    """Counts from 1 within the job, without gaps; the ``id`` of the event stream."""
    type: EventKind
    data: dict[str, Any]
    """What it holds depends on the type; docs/http.md lists it."""
    created_at: Timestamp
