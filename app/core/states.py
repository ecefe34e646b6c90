"""The states of a job and of an upload, and which may follow which."""

from __future__ import annotations

from enum import StrEnum


class JobStatus(StrEnum):
    """The same five words in the API, the command line, the report and the database."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def terminal(self) -> bool:
        """Whether nothing follows."""
        return not LEGAL_TRANSITIONS[self]


#: ``running`` goes back to ``queued`` when a worker died or was told to stop.
LEGAL_TRANSITIONS: dict[JobStatus, frozenset[JobStatus]] = {
    JobStatus.QUEUED: frozenset({JobStatus.RUNNING, JobStatus.CANCELED}),
    JobStatus.RUNNING: frozenset(
        {JobStatus.QUEUED, JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELED}
    ),
    JobStatus.SUCCEEDED: frozenset(),
    JobStatus.FAILED: frozenset(),
    JobStatus.CANCELED: frozenset(),
}


class JobKind(StrEnum):
    """What a job is for. ``inspect`` is made by uploads, never asked for."""

    INSPECT = "inspect"
    AUDIT = "audit"
    DISTILL = "distill"
    CLEAN = "clean"
    PROTECT = "protect"


class Stage(StrEnum):
    """A step of a job; a finished one is not done again."""

    INSPECT = "inspect"
    PROBE = "probe"
    DISTILL = "distill"
    VERIFY = "verify"
    PROTECT = "protect"
    MEASURE = "measure"
    REPORT = "report"


#: The stages of each kind of job, in order.
STAGES: dict[JobKind, tuple[Stage, ...]] = {
    JobKind.INSPECT: (Stage.INSPECT,),
    JobKind.AUDIT: (Stage.PROBE, Stage.REPORT),
    JobKind.DISTILL: (Stage.DISTILL, Stage.VERIFY, Stage.REPORT),
    JobKind.CLEAN: (Stage.PROBE, Stage.DISTILL, Stage.VERIFY, Stage.REPORT),
    JobKind.PROTECT: (Stage.PROTECT, Stage.MEASURE, Stage.REPORT),
}


class UploadStatus(StrEnum):
    """Where an uploaded teacher or dataset stands."""

    INSPECTING = "inspecting"
    READY = "ready"
    REJECTED = "rejected"


class DatasetRole(StrEnum):
    """What a job may use a dataset for."""

    CLEAN_LABELLED = "clean_labelled"
    CLEAN_UNLABELLED = "clean_unlabelled"
    SURROGATE = "surrogate"


class Device(StrEnum):
    """Which queue a job waits in."""

    CPU = "cpu"
    GPU = "gpu"


class Outcome(StrEnum):
    """How one attempt at a job ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    LEASE_EXPIRED = "lease_expired"
    RELEASED = "released"


class EventKind(StrEnum):
    """What an event tells."""

    STATUS = "status"
    STAGE = "stage"
    PROGRESS = "progress"
    METRIC = "metric"
    LOG = "log"
    DONE = "done"


class Scope(StrEnum):
    """What a key may do; ``admin`` may do everything."""

    SUBMIT = "submit"
    READ = "read"
    ADMIN = "admin"
