"""How a hold on a job can end, and what is written then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy.orm import Session

from app.core.states import JobStatus
from app.infra.blobs import StoreUnreachable
from app.services import leases, publication
from app.services.leases import CANCELED, Lease
from worker.sandbox.launch import ProgramMissing

#: Tries to start a program that is missing, at which a job fails: half an hour at upkeep's default pace and
#: the growing pauses of ``leases.release``.
MAX_PROGRAM_MISSING = 10
PROGRAM_MISSING = "program_missing"

How = Literal["done", "failed", "canceled", "stopped", "postponed"]


@dataclass(frozen=True)
class Ending:
    """``stopped`` means that the worker was told to stop: the job goes back to its queue.

    ``postponed`` means that what it needs is away: it goes back too, and is tried again a while later.
    """

    how: How
    error: dict[str, Any] | None = None

    def write(self, session: Session, lease: Lease) -> None:
        """Write it into the caller's transaction.

        Raises:
            LeaseLost: Somebody else has the job; nothing was written.
        """
        match self.how:
            case "done":
                publication.publish(session, lease)
            case "failed":
                leases.end(session, lease, JobStatus.FAILED, error=self.error)
            case "canceled":
                leases.end(session, lease, JobStatus.CANCELED, error=CANCELED)
            case "stopped":
                leases.release(session, lease)
            case "postponed":
                leases.release(session, lease, error=self.error)


def failed(code: str, detail: str, hint: str) -> Ending:
    """Make the ending of a job that cannot be done; it is not tried again."""
    return Ending("failed", {"code": code, "detail": detail, "hint": hint})


def postponed(error: OSError, *, launched: bool) -> Ending:
    """Make the ending of an attempt for which the blob store was away, or that its host could not begin.

    Args:
        error: What went wrong.
        launched: Whether the job's process ran, so that the attempt counts against the job's time limit.
    """
    code = "blob_store_unreachable" if isinstance(error, StoreUnreachable) else "not_launched"
    if isinstance(error, ProgramMissing):
        code = PROGRAM_MISSING
    detail = error.strerror or str(error)
    return Ending("postponed", {"code": code, "detail": detail, "hint": "", "launched": launched})


def program_missing(error: ProgramMissing) -> Ending:
    """Make the ending of a job that was put off until its program would be there again, and never was."""
    return failed(
        PROGRAM_MISSING,
        f"No worker could start the job's process in {MAX_PROGRAM_MISSING} tries: {error.strerror}.",
        "Its operator has to install Proctor on the workers anew; their logs name the program. Then retry.",
    )


def crashed(status: int) -> Ending:
    """Make the ending of a job whose process ended without a word."""
    if status == -9:
        return failed(
            "child_killed",
            "The job's process was killed, most likely because the machine ran out of memory.",
            "Choose smaller batches in the recipe, or a worker with more memory, and retry.",
        )
    how = f"by signal {-status}" if status < 0 else f"with status {status}"
    return failed(
        "child_crashed",
        f"The job's process ended {how} before it was done.",
        "Retry the job; if it fails again, report it with the job's id.",
    )


def timed_out(timeout_s: float, *, inspecting: bool) -> Ending:
    """Make the ending of a job that took too long; nobody can give an inspection another limit or recipe."""
    if inspecting:
        return failed(
            "time_limit",
            f"The inspection was not done after {timeout_s:g} s.",
            "Upload the file again when the service is less busy, or ask its operator for more time.",
        )
    return failed(
        "time_limit",
        f"The job was not done after {timeout_s:g} s.",
        "Give it a larger timeout_s, or a smaller budget in the recipe.",
    )
