"""What endpoints ask for: the edge's resources, a session, who is calling."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from app.api.event_streams import StreamPlaces
from app.api.http_metrics import HttpMetrics
from app.core.errors import ServiceError, Unauthenticated
from app.core.settings import Settings
from app.core.states import Scope
from app.infra.blobs import BlobStore
from app.services import keys
from app.services.principal import Principal


@dataclass(frozen=True, slots=True)
class Edge:
    """What one running application holds; made when it starts, gone when it stops."""

    settings: Settings
    engine: Engine
    sessions: sessionmaker[Session]
    reading: sessionmaker[Session]
    """Sessions that refuse to write, and on SQLite wait for no writer."""
    blobs: BlobStore
    metrics: HttpMetrics
    streams: StreamPlaces


def get_edge(request: Request) -> Edge:
    """Return what the application holds."""
    edge: Edge = request.app.state.edge
    return edge


EdgeDep = Annotated[Edge, Depends(get_edge)]


def _writing_session(edge: EdgeDep) -> Iterator[Session]:
    with edge.sessions.begin() as session:
        yield session


def _reading_session(edge: EdgeDep) -> Iterator[Session]:
    with edge.reading() as session:
        yield session


# scope="function": FastAPI otherwise leaves the dependency, and so commits, after the answer has been sent.
WritingSession = Annotated[Session, Depends(_writing_session, scope="function")]
ReadingSession = Annotated[Session, Depends(_reading_session, scope="function")]

_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="ApiKey",
    description="A key such as `prk_...`, as printed by `proctor serve`.",
)


def _authenticate(
    edge: EdgeDep, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Principal:
    # A session of its own: an upload or an event stream must not hold one while it waits for a socket.
    if credentials is not None:
        with edge.reading() as session:
            principal = keys.authenticate(session, credentials.credentials)
        if principal is not None:
            return principal
    raise Unauthenticated


class KeyFirst(APIRoute):
    """A route that looks at the key before it reads the body.

    FastAPI reads a body before it asks dependencies, so strangers could have theirs kept in memory.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler; of a route that takes a body, behind the look at the key."""
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle

        async def handle_known(request: Request) -> Response:
            credentials = await _bearer(request)
            await run_in_threadpool(_authenticate, get_edge(request), credentials)
            return await handle(request)

        return handle_known


def _require(scope: Scope) -> Callable[[Principal], Principal]:
    def check(principal: Annotated[Principal, Depends(_authenticate)]) -> Principal:
        if not principal.may(scope):
            raise ServiceError("scope_missing", f"This needs a key with the scope '{scope}'.")
        return principal

    return check


Reader = Annotated[Principal, Depends(_require(Scope.READ))]
"""Whoever may look at their tenant's things."""
Submitter = Annotated[Principal, Depends(_require(Scope.SUBMIT))]
"""Whoever may upload, delete and start jobs."""
