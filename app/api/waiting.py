"""``Prefer: wait=N`` (RFC 7240): hold the answer back until something is decided, within limits."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from typing import TypeVar

from fastapi import Request
from starlette.concurrency import run_in_threadpool

MAX_WAIT_S = 60.0
"""Proxies commonly cut connections that are silent for longer."""
FIRST_POLL_S = 0.05
LAST_POLL_S = 0.5

_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,6})\"?(?=$|[,;\s])", re.IGNORECASE)

T = TypeVar("T")


def preferred_wait_s(prefer: str | None) -> float:
    """Return the seconds that a ``Prefer`` header asks to wait: 0 without one, ``MAX_WAIT_S`` at most."""
    found = _WAIT.search(prefer) if prefer else None
    return min(float(found.group(1)), MAX_WAIT_S) if found else 0.0


async def poll(request: Request, look: Callable[[], T], decided: Callable[[T], bool], wait_s: float) -> T:
    """Look until it is decided, the time is over or the client is gone; return what was seen last.

    Each look is one short session in a thread; none is open between looks.
    """
    deadline = time.monotonic() + wait_s
    pause_s = FIRST_POLL_S
    while True:
        seen = await run_in_threadpool(look)
        left_s = deadline - time.monotonic()
        if decided(seen) or left_s <= 0 or await request.is_disconnected():
            return seen
        await asyncio.sleep(min(pause_s, left_s))
        pause_s = min(pause_s * 1.5, LAST_POLL_S)
