"""Open streams of events: each holds a connection and asks the database four times a second, for hours."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager

from fastapi import Request
from fastapi.sse import EventSourceResponse
from starlette.types import Receive, Scope, Send

from app.api.problems import problem_response


class StreamPlaces:
    """So many streams at a time for each tenant, in this process; to be used from its event loop alone."""

    def __init__(self, per_tenant: int) -> None:
        """Begin with none open."""
        self.per_tenant = per_tenant
        self._open: Counter[str] = Counter()

    @contextmanager
    def one(self, tenant: str) -> Iterator[bool]:
        """Hold a place, and tell whether there was one."""
        if self._open[tenant] >= self.per_tenant:
            yield False
            return
        self._open[tenant] += 1
        try:
            yield True
        finally:
            self._open[tenant] -= 1
            if not self._open[tenant]:  # keys come and go, and nothing of theirs is to stay
                del self._open[tenant]


class EventStream(EventSourceResponse):
    """A stream that holds one of its tenant's places while it is sent; without one, a problem is sent.

    The place is taken here and not by the endpoint: whatever happens between the two would keep it.
    """

    def __init__(
        self,
        content: AsyncIterator[bytes],
        *,
        request: Request,
        places: StreamPlaces,
        tenant: str,
        headers: Mapping[str, str],
    ) -> None:
        """Prepare to send ``content``.

        Args:
            content: The stream, not begun.
            request: What it answers.
            places: Of this process.
            tenant: Whose it is.
            headers: Of the stream; a problem has its own.
        """
        super().__init__(content, headers=headers)
        self._request = request
        self._places = places
        self._tenant = tenant

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream, or the problem ``too_many_streams``."""
        with self._places.one(self._tenant) as free:
            if free:
                await super().__call__(scope, receive, send)
                return
        detail = (
            f"{self._places.per_tenant} streams of events are open already, as many as a tenant may have."
        )
        await problem_response(self._request, "too_many_streams", detail=detail)(scope, receive, send)
