"""What a protection did: to the network's own accuracy, and to students distilled from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from models.recipes.architecture import ArchitectureSpec
from models.results.rate import Rate
from models.results.teacher_check import TeacherCheck
from models.results.training import CurvePoint
from models.results.verification import Check

Source = Literal["labels", "original", "nasty"]


@dataclass(frozen=True)
class ProtectionTraining:
    """How the nasty network was made."""

    architecture: ArchitectureSpec
    start: Literal["scratch", "original"]
    omega: float
    temperature: float
    training_images: int
    steps: int
    images_seen: int
    seconds: float
    seed: int
    final: dict[str, float]
    """The last recorded losses."""
    curve: tuple[CurvePoint, ...] = ()
    teacher_check: TeacherCheck | None = None
    """Whether the original and the labelled images belong together."""


@dataclass(frozen=True)
class PairedDifference:
    """How much larger one network's share of right answers is than another's, on the same images."""

    value: float
    low: float
    high: float
    """95 % interval."""
    p_value: float
    """Two-sided exact McNemar test."""
    n: int


@dataclass(frozen=True)
class StudentTriple:
    """Three students of equal first weights and batches that differ in whom they learned from."""

    seed: int
    labels: Rate
    """Accuracy of the student that learned from labels alone."""
    original: Rate
    """Of the one that was distilled from the original."""
    nasty: Rate
    """Of the one that was distilled from the nasty network."""
    nasty_minus_original: PairedDifference
    nasty_minus_labels: PairedDifference


@dataclass(frozen=True)
class ProtectionResult:
    """The protected network beside the original, and their students."""

    images: int
    """Held-out images that everything is measured on; none was trained on here."""
    original_accuracy: Rate
    nasty_accuracy: Rate
    accuracy_change: PairedDifference
    """Nasty minus original."""
    agreement: Rate
    """Images on which both name the same class."""
    student_architecture: str
    student_temperature: float
    distillation_weight: float
    student_steps: int
    students: tuple[StudentTriple, ...]
    mean_nasty_minus_original: float
    mean_nasty_minus_labels: float
    spread_nasty_minus_original: float | None
    """Standard deviation over the repetitions; None of a single one."""
    spread_nasty_minus_labels: float | None
    checks: tuple[Check, ...]
    accepted: bool
    sentence: str
    limits: tuple[str, ...]
    """What this protection does not do."""
    seconds: float
