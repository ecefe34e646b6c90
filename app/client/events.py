"""Follow a job's events: parse server-sent events, and go on after the last one when a connection breaks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

#: Job statuses after which no event comes.
TERMINAL_STATUSES = frozenset({"succeeded", "failed", "canceled"})

_LINE_END = re.compile(rb"\r\n|\n|\r")
#: More digits are no number of an event, and ``int`` refuses thousands of them.
_SEQ = re.compile(r"[0-9]{1,18}")


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
        if not self.data or not _SEQ.fullmatch(self.id):
            return None
        try:
            data = json.loads("\n".join(self.data))
        except ValueError:
            return None
        return Event(int(self.id), self.event or "message", data if isinstance(data, dict) else {})


def event_lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Cut a ``text/event-stream`` into its lines; what is behind the last line end is left out.

    Only CR, LF and both end a line there. httpx's ``iter_lines`` cuts at what Unicode calls a line end too,
    such as U+2028, which JSON allows within a text: such an event was lost, or its text was taken for others.
    """
    rest = b""
    for chunk in chunks:
        rest += chunk
        # A CR at the end may be half of a CR LF.
        held = b"\r" if rest.endswith(b"\r") else b""
        *lines, rest = _LINE_END.split(rest.removesuffix(held))
        rest += held
        for line in lines:
            yield line.decode("utf-8", "replace")
    if rest.endswith(b"\r"):
        yield rest[:-1].decode("utf-8", "replace")


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
