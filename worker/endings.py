"""How a hold on a job can end, and what is written then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy.orm import Session

from app.core.errors import Unavailable
from app.core.states import JobStatus
from app.infra.blobs import StoreUnreachable
from app.services import leases, publication
from app.services.leases import CANCELED, Lease
from models.errors import HostDiskFull
from worker.sandbox.launch import ProgramMissing

#: Tries at which a job fails for want of what only a person brings back, a program or space: half an hour at
#: upkeep's default pace and the growing pauses of ``leases.release``.
MAX_TRIES = 10
PROGRAM_MISSING, STORAGE_FULL = "program_missing", "storage_full"

How = Literal["done", "failed", "canceled", "stopped", "postponed"]


@dataclass(frozen=True)
class Ending:
    """``stopped`` means that the worker was told to stop: the job goes back to its queue.

    ``postponed`` means that what it needs is away: it goes back too, and is tried again a while later.
    """

    how: How
    error: dict[str, Any] | None = None

    @property
    def code(self) -> str:
        """What went wrong, by the word for it; empty if nothing did."""
        return "" if self.error is None else str(self.error["code"])

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


def postponed(error: OSError | Unavailable | HostDiskFull, *, launched: bool) -> Ending:
    """Make the ending of an attempt for which something was away, or that its host could not begin or store.

    Args:
        error: What went wrong.
        launched: Whether the job's process ran, so that the attempt counts against the job's time limit.
    """
    match error:
        case Unavailable() | HostDiskFull():
            code = error.code
        case StoreUnreachable():
            code = "blob_store_unreachable"
        case ProgramMissing():
            code = PROGRAM_MISSING
        case _:
            code = "storage_failed" if launched else "not_launched"
    detail = (error.strerror if isinstance(error, OSError) else error.detail) or str(error)
    return Ending("postponed", {"code": code, "detail": detail, "hint": "", "launched": launched})


def given_up(put_off: Ending) -> Ending | None:
    """Make the ending of a job that was put off for the last time; None for what comes back by itself."""
    if put_off.code == PROGRAM_MISSING and put_off.error is not None:
        return failed(
            PROGRAM_MISSING,
            f"No worker could start the job's process in {MAX_TRIES} tries: {put_off.error['detail']}.",
            "Its operator has to install Proctor on the workers anew; their logs name the program. Then "
            "retry.",
        )
    if put_off.code == HostDiskFull.code:
        return failed(
            HostDiskFull.code,
            f"In {MAX_TRIES} tries there was no space left on the disk of a worker's machine.",
            "Its operator has to make room where that machine's PROCTOR_HOME is. Then retry.",
        )
    if put_off.code == STORAGE_FULL:
        return failed(
            STORAGE_FULL,
            f"In {MAX_TRIES} tries there was no space left to store the job's results.",
            "Delete teachers or datasets, which frees space within three hours, or ask the operator. Then "
            "retry.",
        )
    return None


def unpublishable() -> Ending:
    """Make the ending of a job whose process said that it was done, and left results of another form."""
    return failed(
        "output_invalid",
        "The job's process left results that are not of the form they should have.",
        "This is a fault of the service; report it with the job's id.",
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
