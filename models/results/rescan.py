"""What the students show that the teacher does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from models.recipes.probe import Budget


@dataclass(frozen=True)
class ClassScan:
    """The class that stands out most in one network by one probe."""

    role: Literal["teacher", "undefended", "defended"]
    probe: str
    """Name in the probe catalog: ``mmbd`` or ``trigger_inversion``."""
    target_label: int
    statistic: float
    """Log of how far the class stands out from the next one; larger is more conspicuous."""
    conspicuous: bool
    """Whether that passes the probe's own, uncalibrated mark."""
    teacher_statistic: float
    """The same of this class in the teacher; negative where another class stands out there."""


@dataclass(frozen=True)
class DormantClass:
    """A class that is conspicuous in a student and not in its teacher."""

    role: Literal["undefended", "defended"]
    target_label: int
    probes: tuple[str, ...]


@dataclass(frozen=True)
class StudentRescan:
    """Two probes of the audit on every network, with the same images, starts and effort."""

    budget: Budget
    """Effort of these scans; the audit's own may be larger."""
    image_source: str
    """``clean images``, ``surrogate patches`` or ``inverted images``."""
    classes: int
    """How many were compared by patch; the margins compare all."""
    scans: tuple[ClassScan, ...]
    """By network, the teacher first."""
    dormant: tuple[DormantClass, ...]
    sentence: str
    warnings: tuple[str, ...]
    """About the student that is to be accepted; they decide nothing."""
    failures: tuple[str, ...]
    """Networks that could not be scanned, one sentence each."""
    seconds: float
