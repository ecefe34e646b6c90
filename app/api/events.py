"""``/v1/jobs/{job_id}/events``: what happened, as a page or as it happens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from app.api import wire
from app.api.deps import Edge, EdgeDep, Reader
from app.api.event_streams import EventStream
from app.api.jobs import Id
from app.api.negotiation import choose
from app.api.openapi import COMMON, problems
from app.core.errors import NotFound, Unauthenticated
from app.core.states import EventKind
from app.db.base import DATABASE_AWAY
from app.schemas.base import Page, Wire
from app.schemas.events import Event
from app.services import events, jobs, keys
from app.services.principal import Principal

router = APIRouter(prefix="/v1/jobs/{job_id}/events", tags=["jobs"])

MAX_EVENTS = 1000
POLL_S = 0.25
KEEPALIVE_S = 15.0
RECONNECT_MS = 2000
_JSON, _STREAM = "application/json", "text/event-stream"


class EventQuery(Wire):
    """Which events."""

    after: int | None = Field(None, ge=0, le=2**31 - 1)
    """Number of the last event you have; ``Last-Event-ID`` means the same."""
    limit: int = Field(100, ge=1, le=MAX_EVENTS)
    """How many at most; the stream has no limit."""


@dataclass(frozen=True, slots=True)
class _Source:
    """Where the events of one job come from."""

    edge: Edge
    caller: Principal
    job_id: str

    def look(self, after: int, limit: int) -> tuple[list[Event], bool]:
        """Return up to ``limit`` events, and whether the job is finished.

        The status is read first: whatever it told before it finished is then among the events. The key is
        looked at last: none of the events happened after it ended.

        Raises:
            NotFound: There is no such job.
            Unauthenticated: The key has expired or was revoked since the request began.
        """
        with self.edge.reading() as session:
            finished = jobs.status_of(session, self.caller.tenant, self.job_id).terminal
            found = [wire.event(row) for row in events.page(session, self.job_id, after, limit)]
            keys.check_again(session, self.caller)
            return found, finished

    async def stream(self, after: int) -> AsyncIterator[bytes]:
        """Yield events as they happen, until the job is finished or deleted, or the key ends."""
        yield format_sse_event(retry=RECONNECT_MS)
        sent_at = time.monotonic()
        while True:
            try:
                found, finished = await run_in_threadpool(self.look, after, MAX_EVENTS)
            except (NotFound, Unauthenticated, *DATABASE_AWAY):
                return  # the client reconnects where it was, or learns from a 404 or 401 why it cannot
            for event in found:
                yield _frame(event)
                after, sent_at = event.seq, time.monotonic()
                if event.type is EventKind.DONE:
                    return
            if finished and not found:
                return
            if time.monotonic() - sent_at >= KEEPALIVE_S:
                yield KEEPALIVE_COMMENT
                sent_at = time.monotonic()
            if not found:
                await asyncio.sleep(POLL_S)


def _frame(event: Event) -> bytes:
    data = event.model_dump_json(include={"data"})
    return format_sse_event(data_str=data[len('{"data":') : -1], event=event.type, id=str(event.seq))


@router.get(
    "",
    operation_id="list_job_events",
    summary="Follow a job",
    response_model=Page[Event],
    responses={
        **COMMON,
        **problems("not_found", "not_acceptable", "too_many_streams"),
        200: {
            "description": "A page of events, or a stream of them",
            "content": {
                _STREAM: {
                    "schema": {"type": "string"},
                    "example": 'event: progress\ndata: {"stage":"distill","done":32,"total":80}\nid: 41\n\n',
                }
            },
        },
        204: {"description": "There are no more events: do not reconnect"},
    },
)
async def list_job_events(
    *,
    request: Request,
    edge: EdgeDep,
    caller: Reader,
    job_id: Id,
    query: Annotated[EventQuery, Query()],
    last_event_id: Annotated[int | None, Header(ge=0, le=2**31 - 1)] = None,
) -> Response:
    """Return events, oldest first: as JSON, or as they happen with ``Accept: text/event-stream``.

    The stream ends with the event ``done``, or with its key. After a break, send the last ``id`` as
    ``Last-Event-ID``: none is lost and none comes twice. A tenant may have so many open, 64 by default.
    """
    media_type = choose(request.headers.get("accept"), [_JSON, _STREAM])
    after = last_event_id if last_event_id is not None else query.after or 0
    source = _Source(edge, caller, job_id)
    limit = query.limit if media_type == _JSON else 1
    found, finished = await run_in_threadpool(source.look, after, limit + 1)
    headers = {"Cache-Control": "no-store", "Vary": "Accept, Authorization"}
    if media_type == _JSON:
        page = found[:limit]
        body = Page[Event](
            data=page, has_more=len(found) > limit, next_after=str(page[-1].seq if page else after)
        )
        return Response(body.model_dump_json(), headers=headers, media_type=_JSON)
    if finished and not found:
        return Response(status_code=204, headers=headers)
    # Proxies hold streams back without the last header, nginx for one.
    headers["X-Accel-Buffering"] = "no"
    return EventStream(
        source.stream(after), request=request, places=edge.streams, tenant=caller.tenant, headers=headers
    )
