"""Jobs on the wire."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import (
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
)

from app.core.states import JobKind, JobStatus, Stage
from app.schemas.base import NO_NUL, DatasetId, Failure, TeacherId, Timestamp, Wire
from app.schemas.triggers import MAX_TRIGGERS, Trigger, TriggerShown
from models.recipes.job import Recipe

Device = Literal["cpu", "gpu"]
PostedKind = Literal["audit", "distill", "clean", "protect"]
LabelKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")]
LabelValue = Annotated[str, StringConstraints(max_length=256, pattern=NO_NUL)]
RECIPE = TypeAdapter(Recipe)


def _read_strictly(value: object, read: ValidatorFunctionWrapHandler) -> Recipe:
    """Read a recipe once more as JSON with strict types; the errors keep their places.

    Strictness is asked for here and is not a property of recipes, since stored ones are read with it off. For
    Python's objects, which a body is by now, Pydantic's strictness refuses lists for tuples and mappings for
    recipes. What was read once can be written as JSON: depth, text and names are in order.
    """
    lenient: Recipe = read(value)
    return RECIPE.validate_json(json.dumps(value), strict=True) if isinstance(value, dict) else lenient


StrictRecipe = Annotated[Recipe, WrapValidator(_read_strictly)]


class JobData(Wire):
    """The images a job may use. All are optional: without any, the job works from the checkpoint alone."""

    labelled: DatasetId | None = None
    """Clean images with labels; role ``clean_labelled``."""
    unlabelled: DatasetId | None = None
    """Clean images without labels; role ``clean_unlabelled``."""
    surrogate: DatasetId | None = None
    """A photograph or images of anything else, to cut patches from; role ``surrogate``."""


class JobRequest(Wire):
    """What to do with which teacher. Types are strict: ``"60"`` and ``true`` are no numbers."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "kind": "clean",
                    "teacher": "tch_01JD0QZ6Y8T4N7M2K5R3W9X1VB",
                    "triggers": [{"name": "corner", "catalog": "badnets_square", "target_label": 8}],
                    "recipe": {"defense": "abd", "seed": 1},
                    "labels": {"team": "vision"},
                }
            ]
        }
    )

    kind: PostedKind
    """``audit`` probes; ``distill`` makes and verifies a student; ``clean`` does both; ``protect``
    makes a network of your own useless to distill from."""
    teacher: TeacherId
    data: JobData = Field(default_factory=JobData)
    triggers: list[Trigger] = Field(default_factory=list, max_length=MAX_TRIGGERS)
    """Triggers that you know or suspect, each under a name of its own; they are measured on teacher and
    students."""
    recipe: StrictRecipe = Field(default_factory=Recipe)
    """See ``GET /v1/recipes``; an empty one is complete: every field has a default, sized for minutes on two
    cores."""
    device: Device = "cpu"
    """Which workers may take it."""
    timeout_s: int | None = Field(None, strict=True, ge=10, le=7 * 24 * 3600)
    """The job fails when its attempts together ran longer; null takes the server's limit."""
    labels: dict[LabelKey, LabelValue] = Field(default_factory=dict, max_length=16)
    """Your own marks; ``GET /v1/jobs?label=key:value`` finds them."""

    @field_validator("triggers")
    @classmethod
    def _names_differ(cls, triggers: list[Trigger]) -> list[Trigger]:
        """Findings are told apart by the trigger's name: two of one name would hide each other."""
        names = [trigger.name for trigger in triggers]
        repeated = next((name for name in names if names.count(name) > 1), None)
        if repeated is not None:
            raise ValueError(f"every trigger needs a name of its own, {repeated!r} is given twice")
        return triggers


class Progress(Wire):
    """How far the current stage is."""

    done: int
    total: int
    eta_s: float | None
    """Seconds to the end of this stage, if they can be told."""


class JobLinks(Wire):
    """Where to go from here; null where there is nothing (yet)."""

    self: str
    teacher: str | None
    events: str
    artifacts: str
    cancel: str | None
    """Until the job is finished."""
    retry: str | None
    """When it failed or was canceled."""
    report: str | None
    """When it succeeded."""
    student: str | None
    """The content of the student to take, when one was made."""


class Job(Wire):
    """A job and where it stands."""

    object: Literal["job"] = "job"
    id: str
    kind: JobKind
    status: JobStatus
    stage: Stage | None
    """What it is doing, or was doing when it ended."""
    progress: Progress | None
    teacher: str | None
    data: JobData
    triggers: list[TriggerShown]
    recipe: dict[str, Any]
    """With every default filled in as it was when the job was made."""
    device: str
    timeout_s: float | None
    labels: dict[str, str]
    attempt: int
    """Counts from 1 when a worker takes the job; the job fails when three workers in a
    row died on it and it got no further in between."""
    retry_of: str | None
    """The job that this one repeats."""
    cancel_requested: bool
    verdict: str | None
    """Of the audit: ``detected``, ``suspected``, ``not_detected`` or ``inconclusive``."""
    target_label: int | None
    """The class that the backdoor points at, if the audit names one."""
    accepted: bool | None
    """Whether the student passed every check of ``recipe.verify``; of a ``protect`` job, whether the network
    kept its accuracy and students are harmed (``recipe.protect``)."""
    result: dict[str, Any] | None
    """The stages' results, by stage."""
    error: Failure | None
    created_at: Timestamp
    started_at: Timestamp | None
    finished_at: Timestamp | None
    links: JobLinks
