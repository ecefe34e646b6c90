"""Everything a report shows, gathered before a line of HTML is written."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from models.report.next_steps import next_steps
from models.results.audit import AuditResult
from models.results.inspection import CheckpointInspection
from models.results.protection import ProtectionResult, ProtectionTraining
from models.results.teacher_check import TeacherCheck
from models.results.training import Decision, DistillationResult
from models.results.verification import VerificationResult

SCHEMA = "proctor.report"
SCHEMA_VERSION = 2


@dataclass(frozen=True)
class JobFacts:
    """The job as the service knows it."""

    id: str
    kind: Literal["audit", "distill", "clean", "protect"]
    teacher_filename: str
    created_at: str
    started_at: str
    attempt: int
    device: str


@dataclass(frozen=True)
class DatasetFacts:
    """A dataset the job used."""

    role: str
    filename: str
    images: int
    sha256: str
    warnings: tuple[str, ...] = ()
    """What its inspection found."""


@dataclass(frozen=True)
class Picture:
    """A PNG with its caption; ``group`` is the trigger's name and keeps its pictures together."""

    group: str
    caption: str
    png: bytes


@dataclass(frozen=True)
class Provenance:
    """What it takes to make every number again."""

    recipe: dict[str, Any]
    versions: dict[str, str]
    threads: int
    artifacts: dict[str, str]
    """SHA-256 of each artifact by name."""
    datasets: tuple[DatasetFacts, ...] = ()
    sandbox: str = ""
    """How well the process that computed all this was locked in."""


@dataclass(frozen=True)
class ReportDocument:
    """The report's content."""

    job: JobFacts
    inspection: CheckpointInspection
    provenance: Provenance
    audit: AuditResult | None = None
    distillation: DistillationResult | None = None
    verification: VerificationResult | None = None
    protection_training: ProtectionTraining | None = None
    protection: ProtectionResult | None = None
    pictures: tuple[Picture, ...] = field(default=())

    @property
    def teacher_check(self) -> TeacherCheck | None:
        """Whether teacher and labelled images belong together, from the stage that asked."""
        asked = (self.audit, self.distillation, self.protection_training)
        return next((result.teacher_check for result in asked if result and result.teacher_check), None)

    @property
    def next_steps(self) -> tuple[str, ...]:
        """What to do next, the most urgent first."""
        return next_steps(
            self.audit,
            self.verification,
            method="" if self.distillation is None else self.distillation.method,
            clean_images=any(facts.role != "surrogate" for facts in self.provenance.datasets),
            clipping=self._clipping,
        )

    @property
    def _clipping(self) -> Decision | None:
        """How the teacher of the student to be accepted was clipped, if it was."""
        decisions = () if self.distillation is None else self.distillation.students[-1].decisions
        return next((decision for decision in decisions if decision.name == "clipping"), None)

    def to_json(self) -> dict[str, Any]:
        """Return the report without pictures, ready for ``json.dumps``."""
        content = asdict(self)
        content.pop("pictures")
        return {"schema": SCHEMA, "schema_version": SCHEMA_VERSION, **content}
