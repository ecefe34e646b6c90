"""What right and wrong answers of paired students say: gains, with errors that do not flatter.

Each seed divides the images anew, so that the spread over seeds holds the chance of the division too. The
divisions overlap, so seeds are no independent draws, and their mean varies more than the spread over the root
of their number: the error is Nadeau and Bengio's (Machine Learning 52, 2003), of J seeds s² (1/J + held out /
trained on). Accuracies count each image once, by the mean over the seeds that hold it out: their intervals
are of as many images as there are, not of as many answers.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.metrics import wilson
from models.results.rate import Rate
from models.results.undistillable import StudentGain


@dataclass(frozen=True)
class Lesson:
    """Whose answers a student learns from, and how soft they are."""

    temperature: float
    honest: bool = False
    """Whether they come from the honest last layer instead of the teacher's own."""


#: None is the labels alone.
Source = Lesson | None


@dataclass(frozen=True, eq=False)
class SeedAnswers:
    """Where one seed's students and the teacher are right on that seed's held-out images; bool (M,)."""

    images: Tensor
    """Which of the given ones they are; int64 (M,)."""
    teacher: Tensor
    students: Mapping[Source, Tensor]


def mean_accuracy(answers: Sequence[tuple[Tensor, Tensor]]) -> Rate:
    """Average over different images, each by its mean over seeds; ``answers`` are images and bool (M,)."""
    images = torch.cat([images.cpu() for images, _ in answers])
    right = torch.cat([right.cpu() for _, right in answers]).double()
    times = images.bincount()
    shares = images.bincount(right)[times > 0] / times[times > 0]
    return wilson(float(shares.sum()), len(shares))


def student_gain(
    answers: Sequence[SeedAnswers], taught: Lesson, training_images: int, *, against: Source = None
) -> StudentGain:
    """Average what the students of one lesson gain on their twins of another, or of the labels alone.

    Three seeds may agree by luck, so the error is at least that of the images. Count for each image the seeds
    that won it minus those that lost it; the sum over images varies by about the root of the sum of squares.
    An image that several seeds hold out is so one draw and not several.

    Args:
        answers: Of two seeds or more.
        taught: One that students had.
        training_images: Of each seed.
        against: That of the twins.
    """
    gains = []
    won = torch.zeros(1 + max(int(answer.images.max()) for answer in answers), dtype=torch.int64)
    for answer in answers:
        change = answer.students[taught].long() - answer.students[against].long()
        gains.append(float(change.double().mean()))
        won.index_add_(0, answer.images.cpu(), change.cpu())
    held_out = sum(len(answer.images) for answer in answers)
    of_images = math.sqrt(max(1, int((won**2).sum()))) / held_out
    of_seeds = error_of_mean(gains, held_out / len(answers) / training_images)
    error = max(of_seeds, of_images)
    return StudentGain(taught.temperature, tuple(gains), statistics.fmean(gains), error, of_images)


def error_of_mean(values: Sequence[float], held_out_per_trained: float) -> float:
    """Return Nadeau and Bengio's error of a mean over seeds; held out by trained on is of one seed."""
    return statistics.stdev(values) * math.sqrt(1 / len(values) + held_out_per_trained)
