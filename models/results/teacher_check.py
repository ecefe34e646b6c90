"""Whether teacher and labelled images belong together: same classes in the same order, same normalization."""

from __future__ import annotations

from dataclasses import dataclass

from models.recipes.architecture import Normalization
from models.results.rate import Rate


@dataclass(frozen=True)
class ClassAgreement:
    """One label of the images."""

    label: int
    name: str
    agreement: Rate
    """Share of its images that the teacher sends to this class."""
    rival: int | None
    """The other class that most of the rest go to; None if there is no rest."""
    rival_share: Rate | None
    """Share of all its images that go to the rival."""


@dataclass(frozen=True)
class LabelCheck:
    """How well the teacher agrees with the labels."""

    agreement: Rate
    classes: tuple[ClassAgreement, ...]
    exchanged: tuple[tuple[int, int], ...]
    """(label, class that the teacher says instead), for labels that are taken for another consistently."""
    consistent: bool
    """Whether ``exchanged`` gives each label a class of its own: another order of the classes."""
    agreement_reordered: Rate | None
    """Agreement once the labels are put into that order."""
    sentence: str
    doubtful: bool
    """Whether figures that use the labels should not be trusted."""


@dataclass(frozen=True)
class NormalizationTrial:
    """The teacher's agreement with the labels through one normalization."""

    name: str
    normalization: Normalization
    accuracy: Rate
    """With the labels as the check understands them, reordered where their order is another."""
    p_value: float | None
    """Two-sided exact McNemar test against the one given, times the number of trials; None for that one."""


@dataclass(frozen=True)
class NormalizationCheck:
    """Whether another normalization suits the images better."""

    trials: tuple[NormalizationTrial, ...]
    """The one given first, then the known ones."""
    better: str | None
    """Name of the trial that is better beyond chance; None if there is none."""
    replaced: bool
    """Whether the job uses it: only if none was declared, and the gain is large."""
    used: Normalization
    sentence: str


@dataclass(frozen=True)
class TeacherCheck:
    """Both checks, made once per job before anything else."""

    images: int
    labels: LabelCheck
    normalization: NormalizationCheck
    warnings: tuple[str, ...]
    """What a reader must know before any figure."""
