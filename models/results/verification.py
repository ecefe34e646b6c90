"""What was measured on teacher and students, and whether the student is accepted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from models.results.audit import Rate
from models.results.rescan import StudentRescan


@dataclass(frozen=True)
class AttackSuccess:
    """One trigger on one network. Images of the target class are left out."""

    trigger: str
    origin: Literal["given", "recovered"]
    target_label: int
    rate: Rate
    clean_rate: Rate
    """Share of the same images sent to the target without the trigger."""


@dataclass(frozen=True)
class NetworkMeasurement:
    """One row of the student table."""

    role: Literal["teacher", "undefended", "defended"]
    architecture: str
    parameters: int
    macs: int
    size_bytes: int
    latency_ms: float
    """Median of one image on one thread of this machine's CPU."""
    accuracy: Rate | None
    agreement: Rate
    """With the teacher, on clean images if given, else on surrogate patches."""
    attacks: tuple[AttackSuccess, ...]


@dataclass(frozen=True)
class Check:
    """One threshold of the recipe."""

    name: str
    measured: float | None
    limit: float
    passed: bool | None
    """None when it could not be judged; ``text`` says why."""
    text: str


@dataclass(frozen=True)
class VerificationResult:
    """The student table and the decision."""

    networks: tuple[NetworkMeasurement, ...]
    image_source: str
    images: int
    checks: tuple[Check, ...]
    """The first is of the student's usefulness."""
    accepted: bool
    sentence: str
    seconds: float
    warnings: tuple[str, ...] = ()
    """What a reader should know of the student although it decides nothing about acceptance."""
    rescan: StudentRescan | None = None
    """What the students show that the teacher does not; None when that was not asked."""

    @property
    def usefulness(self) -> Check:
        """Whether the student keeps enough of the teacher's accuracy, or agrees with it often enough."""
        return self.checks[0]
