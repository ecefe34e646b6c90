"""Connections that do nothing are closed: they need no key, and each takes a descriptor."""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from app.api.problems import MEDIA_TYPE, make_problem
from app.api.request_context import choose_request_id


class PunctualProtocol(H11Protocol):
    """Uvicorn's protocol, which by itself waits for ever for a request's head, and for a client to read.

    Its own limit holds only from an answer to the next byte, and a single byte ends it.
    """

    head_s = 30.0
    """From connecting, or from the first byte after an answer, to the end of a request's head."""
    reading_s = 60.0
    """For a client to read 48 KiB of the 64 that are kept for it."""

    _head: asyncio.TimerHandle | None = None
    _reading: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect a request."""
        super().connection_made(transport)
        self._head = self._abort_after(self.head_s)

    def data_received(self, data: bytes) -> None:
        """Expect the rest of a head, unless a request is being answered."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._head = _canceled(self._head)
        elif self._head is None:
            self._head = self._abort_after(self.head_s)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request: as a problem, where uvicorn sends plain text."""
        request_id = choose_request_id(None)
        body = make_problem("bad_request", request_id, detail=msg).model_dump_json().encode()
        headers = [
            ("Content-Type", MEDIA_TYPE),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("X-Request-Id", request_id),
            ("Connection", "close"),
        ]
        answer = (
            h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
            h11.Data(data=body),
            h11.EndOfMessage(),
        )
        for event in answer:
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def pause_writing(self) -> None:
        """Expect the client to read."""
        super().pause_writing()
        self._reading = self._abort_after(self.reading_s)

    def resume_writing(self) -> None:
        """Send on."""
        super().resume_writing()
        self._reading = _canceled(self._reading)

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing any more."""
        super().connection_lost(exc)
        self._head, self._reading = _canceled(self._head), _canceled(self._reading)

    def _abort_after(self, seconds: float) -> asyncio.TimerHandle:
        # Not closed: that would wait until the client has read what is left.
        return self.loop.call_later(seconds, self.transport.abort)


def _canceled(timer: asyncio.TimerHandle | None) -> asyncio.TimerHandle | None:
    if timer is not None:
        timer.cancel()
    return None
