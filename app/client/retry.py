"""When to ask again, and how long to wait before."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from app.client.errors import UnreachableError
from app.core.inspection_faults import INSPECTION_FAULTS

#: Answers that say "not now" rather than "no".
PASSING_STATUSES = frozenset({429, 502, 503, 504})
#: Codes of problems that tell it otherwise than their status. The first comes to who repeats a request whose
#: answer was lost, and a repetition gets that answer; the second stays until the operator has mended it. The
#: others cost an upload and an inspection each time: that is for the user to ask for again.
_PASSING_CODES = {
    "idempotency_key_in_use": True,
    "sandbox_unavailable": False,
    **{code: False for code in INSPECTION_FAULTS if code != "infrastructure"},
}


@dataclass(frozen=True)
class RetryPolicy:
    """How patient the client is. The defaults outlast a restart of the API (about 2 s) several times over."""

    attempts: int = 7
    first_delay_s: float = 0.25
    max_delay_s: float = 8.0
    max_retry_after_s: float = 60.0


#: For following a job, which goes on for hours without its watcher: 59 pauses, about five and a half minutes.
PATIENCE = RetryPolicy(attempts=60)


def retry_after_s(response: httpx.Response, *, now: datetime | None = None) -> float | None:
    """Read ``Retry-After`` in either form (RFC 9110, section 10.2.3); None if absent or unreadable."""
    value = response.headers.get("Retry-After", "").strip()
    if not value:
        return None
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())


def will_pass(response: httpx.Response) -> bool:
    """Tell whether the same request may have another answer soon."""
    code = None
    if response.status_code in {409, 503}:
        try:
            document = response.json()
        except (ValueError, RecursionError, httpx.StreamError):  # the last of a stream that nobody has read
            document = None
        code = document.get("code") if isinstance(document, dict) else None
    if isinstance(code, str) and code in _PASSING_CODES:
        return _PASSING_CODES[code]
    return response.status_code in PASSING_STATUSES


def delay_s(policy: RetryPolicy, attempt: int, response: httpx.Response | None) -> float:
    """Give the pause before attempt ``attempt + 1``.

    Args:
        policy: Limits of the pause.
        attempt: How many attempts have failed, from 1.
        response: The last answer, if one came; its ``Retry-After`` wins over the exponential schedule.
    """
    asked = retry_after_s(response) if response is not None else None
    if asked is not None:
        return min(asked, policy.max_retry_after_s)
    longest: float = min(policy.first_delay_s * 2 ** (attempt - 1), policy.max_delay_s)
    # Half fixed, half random: clients that failed together do not come back together.
    return longest * (0.5 + random.random() / 2)  # noqa: S311  spreads load, guards nothing


def send_with_retries(
    send: Callable[[], httpx.Response],
    *,
    policy: RetryPolicy,
    sleep: Callable[[float], None] = time.sleep,
) -> httpx.Response:
    """Call ``send`` until it gets an answer that is final.

    Args:
        send: Makes one request from scratch, body included.
        policy: How often, and how long between.
        sleep: Waits that many seconds.

    Returns:
        The last answer, also if it still is one that ``will_pass`` after all attempts.

    Raises:
        UnreachableError: If every attempt ended without an answer.
    """
    for attempt in range(1, policy.attempts + 1):
        response: httpx.Response | None = None
        try:
            response = send()
        except httpx.TransportError as error:
            if attempt == policy.attempts or isinstance(error, httpx.UnsupportedProtocol):
                raise unreachable(error) from error
        if response is not None:
            if attempt == policy.attempts or not will_pass(response):
                return response
            response.close()
        sleep(delay_s(policy, attempt, response))
    raise ValueError("a retry policy allows at least one attempt")


def unreachable(error: httpx.TransportError) -> UnreachableError:
    """Say in plain words that nobody answers at an address."""
    url = ""
    try:
        url = f" at {error.request.url.copy_with(path='/', query=None)}"
    except RuntimeError:  # httpx raises it when the error was made without a request
        url = ""
    reason = str(error) or type(error).__name__
    return UnreachableError(
        f"No Proctor server answers{url}: {reason}",
        hint="Start one with `proctor serve`, or name another with --url or PROCTOR_URL.",
    )
