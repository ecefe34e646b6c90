"""What every distillation returns."""

from __future__ import annotations

from dataclasses import dataclass

from models.architectures import StagedClassifier
from models.results.training import CurvePoint, Decision


@dataclass(frozen=True, eq=False)
class Distilled:
    """A trained student and the record of its training."""

    network: StagedClassifier
    """The student that was given, in evaluation mode; takes normalized images."""
    curve: tuple[CurvePoint, ...]
    decisions: tuple[Decision, ...]
    images_seen: int
    """Images the student learned from, counting repetitions."""
    seconds: float
    final: dict[str, float]
    """The last recorded scalars of this student."""
    steps: int
