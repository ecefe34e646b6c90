"""What a caller asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.core.states import Device, JobKind


@dataclass(frozen=True)
class JobRequest:
    """A job as it was asked for, already checked field by field at the edge."""

    kind: JobKind
    teacher_id: str
    labelled_id: str | None = None
    unlabelled_id: str | None = None
    surrogate_id: str | None = None
    triggers: Sequence[Mapping[str, Any]] = ()
    """Each with name, kind, target_label and either png (base64) or catalog; see ``worker.stages``."""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    """``dataclasses.asdict`` of a ``models.recipes.job.Recipe``."""
    device: Device = Device.CPU
    timeout_s: float | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
