"""Whether a teacher is nasty: good itself, and ruinous to learn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from models.results.rate import Rate

Undistillable = Literal["detected", "not_detected", "inconclusive"]
LabelsOf = Literal["data", "network"]


@dataclass(frozen=True)
class PeakStatistics:
    """N1: how many classes the softened answers to one image name."""

    temperature: float
    peaks: float
    """Mean number of classes at least half as probable as the most probable one; 1 is a single peak."""
    second_to_first: float
    """Mean of the second largest probability divided by the largest."""
    entropy: float
    """Mean entropy divided by the logarithm of the number of classes: 0 certain, 1 a guess."""


@dataclass(frozen=True)
class FeatureConsistency:
    """N2: whether classes that look alike to the network also share probability in its answers."""

    temperature: float
    rho: float
    """Spearman's rank correlation over all ordered pairs of classes, in [-1, 1]."""
    classes: int
    """Classes that were named often enough to count."""


@dataclass(frozen=True)
class HeadRefit:
    """N3: how the last layer differs from one fitted anew to the same features and the same named classes."""

    temperature: float
    divergence: float
    """Mean Kullback-Leibler divergence of the softened answers, refitted against original, in nats."""
    affinity_correlation: float
    """Spearman's, between the two heads' probabilities of other classes, in [-1, 1]."""
    agreement: float
    """Share of the measured images for which both heads name the same class."""
    images: int
    """That were measured; as many others were fitted."""


@dataclass(frozen=True)
class StudentGain:
    """What learning from the teacher brings at one temperature, against learning from something else."""

    temperature: float
    gains: tuple[float, ...]
    """Per seed: difference of accuracies on the held-out images, in [-1, 1]."""
    mean: float
    standard_error: float
    """The larger of two: from the spread over the seeds, whose divisions overlap (Nadeau and Bengio, 2003),
    and from the images on which the students differ."""
    image_error: float
    """The second of these by itself."""


@dataclass(frozen=True)
class PairedStudents:
    """N4 and N5: small students in pairs that differ in nothing but whom they learned from."""

    architecture: str
    seeds: tuple[int, ...]
    distillation_weight: float
    steps: int
    """Of each student."""
    images_seen: int
    """By each student."""
    training_images: int
    held_out_images: int
    """In all seeds together, each with a division of its own."""
    teacher: Rate
    """Accuracy on the different held-out images; flattered if the teacher was trained on them, and 1 where
    the labels are its own."""
    labels: Rate
    """Accuracy of the students of the labels alone."""
    honest: Rate
    """Accuracy of those that learned from the teacher's features through an honest last layer."""
    gains: tuple[StudentGain, ...]
    """N4, by temperature, against the labels alone."""
    judged_temperature: float
    """Of the gains that the verdict looks at, fixed beforehand."""
    against_honest: StudentGain
    """N4 at that temperature, against the honest last layer."""
    slope: float
    """N5: gain at the lowest temperature minus gain at the highest, mean over the seeds."""
    slope_error: float
    """Its standard error over the seeds."""
    seconds: float
    labels_of: LabelsOf = "data"
    """``network`` where the images have no labels of its classes: those that it names stand in, and every
    accuracy is agreement with it."""

    @property
    def judged(self) -> StudentGain:
        """The gain against the labels that the verdict looks at."""
        return next(gain for gain in self.gains if gain.temperature == self.judged_temperature)


@dataclass(frozen=True)
class UndistillableResult:
    """All that was asked about learning from the teacher; says nothing about backdoors."""

    word: Undistillable
    sentence: str
    """The answer in one sentence."""
    evidence: tuple[str, ...]
    """In order of weight."""
    not_tested: tuple[str, ...]
    advice: tuple[str, ...]
    image_source: str
    """What N1 to N3 looked at: ``clean images``, ``surrogate patches`` or ``inverted images``."""
    images: int
    peaks: tuple[PeakStatistics, ...]
    consistency: FeatureConsistency | None
    refit: HeadRefit | None
    students: PairedStudents | None
    """None when they were not trained."""
    seconds: float
