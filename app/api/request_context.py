"""The outermost layer: a request id, limits on bodies, and the counters of /metrics."""

from __future__ import annotations

import asyncio
import re
import secrets
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.http_metrics import HttpMetrics

#: From a request's head to the end of its JSON body. 4 MiB in that time are half a megabit a second.
BODY_TIMEOUT_S = 60.0

_REQUEST_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


def choose_request_id(offered: str | None) -> str:
    """Return the caller's request id where it is harmless in a log line, else a fresh one."""
    if offered is not None and _REQUEST_ID.fullmatch(offered):
        return offered
    return f"req_{secrets.token_hex(12)}"


class RequestContext:
    """Give each request its id, refuse large and endless bodies, and count what was answered.

    Starlette's own body limit answers an over-long ``Content-Length`` as text/plain; raising from
    ``receive`` lets the problem handlers answer instead. Uploads are exempt here: they stream, and their
    limits are checked where they are written.
    """

    def __init__(
        self, app: ASGIApp, metrics: HttpMetrics, upload_prefixes: tuple[str, ...], limit_bytes: int
    ) -> None:
        """Wrap ``app``; PUT requests under ``upload_prefixes`` bring their own limit."""
        self.app = app
        self.metrics = metrics
        self.upload_prefixes = upload_prefixes
        self.limit_bytes = limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = choose_request_id(headers.get("x-request-id"))
        scope.setdefault("state", {})["request_id"] = request_id
        status = 500
        started = time.perf_counter()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                sent = MutableHeaders(scope=message)
                sent["X-Request-Id"] = request_id
                sent.setdefault("Cache-Control", "no-store")
                sent.setdefault("X-Content-Type-Options", "nosniff")
            await send(message)

        try:
            await self.app(scope, self._limited(scope, headers, receive), send_with_id)
        finally:
            self.metrics.observe(scope, status, time.perf_counter() - started)

    def _limited(self, scope: Scope, headers: Headers, receive: Receive) -> Receive:
        if scope["method"] == "PUT" and scope["path"].startswith(self.upload_prefixes):
            return receive
        declared = headers.get("content-length", "0")
        too_large = declared.isdigit() and int(declared[:20]) > self.limit_bytes
        received = 0
        deadline: float | None = asyncio.get_running_loop().time() + BODY_TIMEOUT_S

        async def receive_limited() -> Message:
            nonlocal received, deadline
            try:
                async with asyncio.timeout_at(deadline):
                    message = {} if too_large else await receive()
            except TimeoutError:
                raise HTTPException(408, f"The body was not there after {BODY_TIMEOUT_S:g} s.") from None
            received += len(message.get("body", b""))
            if too_large or received > self.limit_bytes:
                raise HTTPException(413, f"A JSON body may have {self.limit_bytes} bytes.")
            if not message.get("more_body", False):
                deadline = None  # what comes now is that the client goes, which may take as long as it likes
            return message

        return receive_limited
