"""What a distillation run produced beside the weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from models.recipes.architecture import ArchitectureSpec
from models.results.teacher_check import TeacherCheck


@dataclass(frozen=True)
class CurvePoint:
    """Named numbers at one step, those that are finite."""

    step: int
    values: dict[str, float]


@dataclass(frozen=True)
class Decision:
    """Something the run decided by itself, and why."""

    step: int
    name: str
    text: str
    values: dict[str, float]


@dataclass(frozen=True)
class StudentResult:
    """One trained student."""

    role: Literal["undefended", "defended"]
    method: str
    defense: str
    architecture: ArchitectureSpec
    steps: int
    images_seen: int
    seconds: float
    seed: int
    final: dict[str, float]
    """The last recorded losses and agreements."""
    curve: tuple[CurvePoint, ...] = ()
    decisions: tuple[Decision, ...] = ()


@dataclass(frozen=True)
class DistillationResult:
    """All students of a job, and why they were made this way."""

    method: str
    defense: str
    reason: str
    """Why ``auto`` chose this method and defense, or that the user asked for them."""
    students: tuple[StudentResult, ...]
    teacher_check: TeacherCheck | None = None
    """Whether teacher and labelled images belong together, when no audit in the same job has asked before."""
