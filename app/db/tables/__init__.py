"""The tables, one file each. Importing this package registers all of them with ``Base.metadata``."""

from app.db.tables.api_keys import ApiKey
from app.db.tables.artifacts import Artifact
from app.db.tables.attempts import Attempt
from app.db.tables.datasets import Dataset
from app.db.tables.events import Event
from app.db.tables.idempotency_keys import IdempotencyKey
from app.db.tables.jobs import Job
from app.db.tables.metrics import Metric
from app.db.tables.probe_results import ProbeResultRow
from app.db.tables.stage_outputs import StageOutput
from app.db.tables.students import Student
from app.db.tables.teachers import Teacher
from app.db.tables.upkeep_passes import UpkeepPass

__all__ = [
    "ApiKey",
    "Artifact",
    "Attempt",
    "Dataset",
    "Event",
    "IdempotencyKey",
    "Job",
    "Metric",
    "ProbeResultRow",
    "StageOutput",
    "Student",
    "Teacher",
    "UpkeepPass",
]
