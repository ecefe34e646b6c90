"""What the audit found: probe scores, recovered triggers, transfer, verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from models.results.calibration import CalibrationResult
from models.results.rate import Rate
from models.results.teacher_check import TeacherCheck
from models.results.trigger_effect import TriggerEffect
from models.results.undistillable import UndistillableResult

__all__ = [
    "AuditResult",
    "BackdoorVerdict",
    "ChannelResult",
    "Hazard",
    "ProbeResult",
    "Rate",
    "TransferResult",
    "TriggerReport",
]

BackdoorVerdict = Literal["detected", "suspected", "not_detected", "inconclusive"]
Hazard = Literal["high", "low", "not_tested"]


@dataclass(frozen=True)
class ProbeResult:
    """One probe's scores."""

    probe: str
    """Name in the probe catalog, such as ``mmbd``."""
    summary: str
    """One sentence for a reader who does not know the probe."""
    target_label: int | None
    """The class the probe points at, whether or not it is conspicuous."""
    statistic: float | None
    """The probe's own score of that class; larger is more conspicuous."""
    conspicuous: bool
    """Whether the score passes the probe's own, uncalibrated mark; with enough clean reference networks,
    whether it drives a calibrated p-value of at most alpha instead."""
    class_scores: tuple[float, ...] = ()
    p_value: float | None = None
    """Uncalibrated unless ``calibration_references`` is positive."""
    calibration_references: int = 0
    blind_to: str = ""
    """What this probe cannot see, in words."""
    seconds: float = 0.0
    nothing_won: bool = False
    """Whether the search won no class: then the statistic, 0, only ranks the network among references."""
    class_profile: tuple[float, ...] = ()
    """Where classes were compared one by one: the logarithms of their scores about the median class, larger
    more conspicuous."""
    class_band: tuple[tuple[float, float], ...] = ()
    """What nine of ten clean reference networks show for the same classes: 5 % and 95 % quantiles."""

    @property
    def answered(self) -> bool:
        """Whether the probe says anything about the network."""
        return self.statistic is not None and not self.nothing_won


@dataclass(frozen=True)
class TriggerReport:
    """A trigger, given by the user or recovered by a probe, and what it does to the teacher."""

    name: str
    origin: Literal["given", "recovered"]
    kind: str
    target_label: int
    teacher_success: Rate
    clean_rate: Rate
    """Share of the same images that the teacher sends to the target without the trigger."""
    mask_area: float
    """Share of pixels that the trigger changes."""
    image_source: str
    """Which images it was measured on: ``clean images``, ``surrogate patches`` or ``inverted images``."""


@dataclass(frozen=True)
class TransferResult:
    """Whether a trigger moved into a throw-away student over one distillation channel."""

    channel: str
    trigger: str
    target_label: int
    teacher_success: Rate
    student_success: Rate
    control_success: Rate
    """Success of a universal perturbation of the same norm on the student."""
    index: float
    """(student - control) / (teacher - control), clipped to [-1, 1]."""
    hazard: Hazard
    student_agreement: float
    """Share of held-out images on which student and teacher agree."""
    images_seen: int
    curve: tuple[tuple[int, float], ...] = ()
    """(images seen, student success) as the student learned."""
    student_clean_rate: Rate | None = None
    """Share of the same images that the student sends to the target without the trigger."""

    @property
    def begun(self) -> bool:
        """Whether the trigger works better than without it and than its control, but on too few images."""
        others = [self.control_success, *([self.student_clean_rate] if self.student_clean_rate else [])]
        exceeds = all(self.student_success.low > other.high for other in others)
        return self.hazard == "not_tested" and exceeds

    @property
    def learned_too_little(self) -> bool:
        """Whether the student resists, but learned so little of its teacher that this says nothing."""
        return self.hazard == "not_tested" and self.student_success.high < 0.5 and not self.begun


@dataclass(frozen=True)
class ChannelResult:
    """One distillation channel, over all triggers that were followed through it."""

    channel: str
    hazard: Hazard
    """``high`` if any trigger moved, ``low`` if one was tested and none moved."""
    seconds: float
    reason: str = ""
    """Why no student came out of it, in a sentence; empty if one did."""
    failed: bool = False
    """Whether the training broke; a channel that does not fit teacher or data did not fail."""


@dataclass(frozen=True)
class AuditResult:
    """The audit as a whole."""

    tier: Literal[0, 1, 2]
    """0: no clean images, or too few to search on; 1: with unlabelled clean images; 2: with labelled ones."""
    verdict: BackdoorVerdict
    target_label: int | None
    sentence: str
    """The verdict in one sentence."""
    evidence: tuple[str, ...]
    """In order of weight."""
    not_tested: tuple[str, ...]
    advice: tuple[str, ...]
    """What would raise the certainty."""
    hazard: Hazard
    teacher_accuracy: Rate | None
    probes: tuple[ProbeResult, ...]
    triggers: tuple[TriggerReport, ...]
    transfers: tuple[TransferResult, ...]
    seed: int
    seconds: float
    teacher_check: TeacherCheck | None = None
    """Whether teacher and labelled images belong together; None without labelled images."""
    calibration: CalibrationResult | None = None
    """Comparison with clean reference networks; None in results of earlier versions."""
    undistillable: UndistillableResult | None = None
    """Whether the teacher is bad to learn from, a flag of its own; None when that was not asked."""
    channels: tuple[ChannelResult, ...] = ()
    """Those the transfer probe was asked for, in that order; empty if it did not run."""
    effects: tuple[TriggerEffect, ...] = ()
    """What given triggers do class by class that do not lead to their target; empty in earlier versions."""
    image_source: str = ""
    """What the probes searched on: ``clean images``, ``surrogate patches`` or ``inverted images``; empty in
    results of earlier versions."""
