"""What a use case raises when it will not do what it was asked.

::

    ServiceError
    ├── NotFound         no such thing, or another tenant's: the answer is the same
    ├── Unauthenticated  nobody we know, or not any more
    ├── Conflict         the thing is not in a state that allows it
    ├── Invalid          the request contradicts itself or what it refers to
    ├── TooLarge         more bytes than the service takes
    ├── Unavailable      something the service needs is away; the same request may work later
    └── LeaseLost        this worker no longer holds the job (never leaves the worker)

A code, never an HTTP status: the edge maps one to the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class FieldError:
    """One fault of a request, by JSON pointer."""

    pointer: str
    detail: str


class ServiceError(Exception):
    """Base of all errors that services raise on purpose."""

    def __init__(self, code: str, detail: str, hint: str = "", errors: Sequence[FieldError] = ()) -> None:
        """Store what went wrong.

        Args:
            code: Stable identifier in snake_case, part of the public contract.
            detail: One sentence that names what was found.
            hint: One sentence that says what the user can do.
            errors: The faults by place in the request, where there are such places.
        """
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.hint = hint
        self.errors = tuple(errors)


class NotFound(ServiceError):
    """There is no such thing for this tenant."""

    def __init__(self, what: str) -> None:
        """Name the kind of thing; never the identifier, so that all answers are equal."""
        super().__init__("not_found", f"There is no such {what}.", "Check the id; it may have been deleted.")


class Unauthenticated(ServiceError):
    """The key is unknown, expired or revoked."""

    def __init__(self) -> None:
        """Do not say which of the three: that is nobody's business."""
        super().__init__("unauthenticated", "The request carries no API key that is known and valid.")


class Conflict(ServiceError):
    """The thing is not in a state that allows this."""


class Invalid(ServiceError):
    """The request contradicts itself or what it refers to."""


class TooLarge(ServiceError):
    """More bytes than the service takes."""


class Unavailable(ServiceError):
    """Something the service needs is away for the moment."""


class LeaseLost(ServiceError):
    """The job is no longer this worker's; it must stop and touch nothing."""

    def __init__(self, job_id: str) -> None:
        """Name the job that was lost."""
        super().__init__("lease_lost", f"The lease on {job_id} is held by nobody or by another worker.")
