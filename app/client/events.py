"""Follow a job's events: parse server-sent events, and go on after the last one when a connection breaks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

#: Job statuses after which no event comes.
TERMINAL_STATUSES = frozenset({"succeeded", "failed", "canceled"})


@dataclass(frozen=True)
class Event:
    """Something that happened to a job."""

    seq: int
    """Counts from 1 within the job; also the SSE id."""
    type: str
    """``status``, ``stage``, ``progress``, ``metric``, ``log`` or ``done``."""
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def is_last(self) -> bool:
        """Whether nothing comes after this event."""
        return self.type == "done"


@dataclass
class _Frame:
    """The fields of one SSE message as they arrive."""

    id: str = ""
    event: str = ""
    data: list[str] = field(default_factory=list)

    def take(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "id":
            self.id = value
        elif name == "event":
            self.event = value
        elif name == "data":
            self.data.append(value)

    def event_or_none(self) -> Event | None:
        if not self.data or not self.id.isdigit():
            return None
        try:
            data = json.loads("\n".join(self.data))
        except ValueError:
            return None
        return Event(int(self.id), self.event or "message", data if isinstance(data, dict) else {})


def parse_events(lines: Iterable[str]) -> Iterator[Event]:
    """Turn the lines of a ``text/event-stream`` into events.

    Comments (keep-alives), messages without an id and messages cut off by a lost connection are left out:
    only a blank line completes a message (HTML standard, section 9.2.6).
    """
    frame = _Frame()
    for line in lines:
        if line == "":
            event = frame.event_or_none()
            frame = _Frame()
            if event is not None:
                yield event
        elif not line.startswith(":"):
            frame.take(line)
