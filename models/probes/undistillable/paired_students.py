"""N4 and N5: does a student that learns from the teacher end up worse than one that never saw it?

For every seed one student learns from the labels alone, and one per temperature t from the teacher too, with

    alpha t² KL( softmax(teacher / t) || softmax(student / t) ) + (1 - alpha) CE

(Ma et al., ICLR 2021, section 4.1, alpha .9), and one, at the temperature that is judged, from the teacher
with an honest last layer (``honest_head``). They start from the same weights, and each step shows one
batch to all of them: what they end up doing differently, they owe to whom they learned from. N4 is the
accuracy that learning from the teacher gains, N5 how much less it gains as the temperature rises
(algorithms.md 6.4).

The students are thrown away. Departures: a plain CNN of 73,000 parameters for any number of classes, where
the paper's weakest on 100 classes is a MobileNetV2; one cosine over a short run instead of 100 to 200 epochs.
Each seed divides the images anew. ``gains`` has what follows from the answers.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from models.architectures import PixelClassifier, StagedClassifier, build
from models.checkpoints.load import Teacher
from models.data.labelled import LabelledImages
from models.data.split import split_for_measuring
from models.distillation.labelled_batches import LabelledBatches
from models.distillation.nasty.stolen_students import student_loss
from models.engine.monitor import Monitor, raise_if_stopped
from models.engine.schedule import scheduled_rate
from models.engine.seed import derive_seed, seeded
from models.errors import TrainingFailed
from models.metrics import predict
from models.probes.portion import Portion
from models.probes.undistillable.gains import (
    Lesson,
    SeedAnswers,
    Source,
    error_of_mean,
    mean_accuracy,
    student_gain,
)
from models.probes.undistillable.honest_head import HonestHead, honest_head
from models.recipes.architecture import ArchitectureSpec
from models.recipes.probe import Budget
from models.results.undistillable import LabelsOf, PairedStudents

ARCHITECTURE = "plain-cnn-w16"
DISTILLATION_WEIGHT = 0.9
BATCH_SIZE, LEARNING_RATE, CROP_PADDING = 64, 2e-3, 4
HOLDOUT_SHARE = 0.3

#: Share of a seed's time that fitting the honest last layer takes.
_FITTED = 0.02


@dataclass(frozen=True)
class StudentEffort:
    """How many students learn, and for how long."""

    temperatures: tuple[float, ...]
    """Rising; the first and the last make N5."""
    judged: float
    """Whose gain the verdict looks at. Fixed beforehand: the worst of several would be worse by chance."""
    seeds: int
    images: int
    """Shown to one student at most."""

    @property
    def sources(self) -> tuple[Source, ...]:
        """Whom students learn from, one each per seed."""
        own = [Lesson(temperature) for temperature in self.temperatures]
        return (None, *own, Lesson(self.judged, honest=True))


#: Only budget ``thorough`` trains any. 20 is the paper's temperature for 100 classes; of ten, for which it
#: takes 4, it is the one at which students of nasty networks suffer most (docs/evaluation.md). That short
#: runs harm there by themselves is what the honest last layer is for.
STUDENT_EFFORTS: Mapping[Budget, StudentEffort] = {
    "thorough": StudentEffort((1.0, 4.0, 20.0), 20.0, 5, 20_000),
}


def paired_students(
    teacher: Teacher,
    data: LabelledImages,
    effort: StudentEffort,
    *,
    labels_of: LabelsOf = "data",
    seed: int,
    monitor: Monitor,
) -> PairedStudents:
    """Train the students and compare them.

    Args:
        teacher: Frozen by the caller for as long as this lasts.
        data: Labelled images of the teacher's classes.
        effort: How many students.
        labels_of: ``network`` if the labels are what the teacher names (``named_by``).
        seed: Of divisions, first weights, order and augmentation.
        monitor: Asked before every step.

    Raises:
        RecipeError: ``too_few_images``.
        TrainingFailed: A student's loss is not finite (code ``non_finite``).
        Interrupted: The monitor asked to stop.
    """
    started = time.monotonic()
    seeds = tuple(derive_seed(seed, f"paired students {index}") for index in range(effort.seeds))
    answers, batches = [], None
    for index, own in enumerate(seeds):
        training, held_out = split_for_measuring(data.labels, share=HOLDOUT_SHARE, seed=own)
        batches = LabelledBatches(
            teacher.pixel_classifier(),
            data.images[training],
            data.labels[training],
            batch_size=BATCH_SIZE,
            crop_padding=CROP_PADDING,
            horizontal_flip=False,
            seed=own,
        )
        steps = max(1, effort.images // batches.batch_size)
        span = Portion(monitor, index / len(seeds), (index + 1) / len(seeds))
        honest = honest_head(teacher, batches.images, Portion(span, 0, _FITTED))
        students = train_in_step(
            teacher,
            honest,
            batches,
            effort.sources,
            steps=steps,
            seed=own,
            monitor=Portion(span, _FITTED, 1),
        )
        answers.append(_answers(teacher, students, data, held_out))
    assert batches is not None, "an effort has seeds"  # noqa: S101
    found = sum_up(answers, effort, seeds, batches, steps=steps, seconds=time.monotonic() - started)
    return replace(found, labels_of=labels_of)


def named_by(teacher: Teacher, images: Tensor) -> LabelledImages:
    """Let the classes that the teacher names stand in for labels.

    Who learns those alone never sees the softened answers, which are what a nasty teacher misleads with.

    Args:
        teacher: Frozen by the caller.
        images: uint8 (N, 3, S, S), of the kind that it was made for. On patches of photographs, and on images
            inverted from it for two minutes, students of a nasty network lost nothing (docs/evaluation.md).
    """
    return LabelledImages(images, predict(teacher.pixel_classifier(), images).cpu())


def train_in_step(
    teacher: Teacher,
    honest: HonestHead,
    batches: LabelledBatches,
    sources: Sequence[Source],
    *,
    steps: int,
    seed: int,
    monitor: Monitor,
) -> dict[Source, StagedClassifier]:
    """Train one seed's students, one batch at a time for all of them.

    Args:
        teacher: Frozen; asked once per batch.
        honest: Its other last layer.
        batches: Labelled images, normalized as the teacher's.
        sources: Whom to learn from, one student each.
        steps: Length of the run.
        seed: Of the first weights.
        monitor: Asked before every step.

    Returns:
        The students, by source.

    Raises:
        TrainingFailed: A loss is not finite (code ``non_finite``).
        Interrupted: The monitor asked to stop.
    """
    spec = ArchitectureSpec(ARCHITECTURE, teacher.spec.num_classes, teacher.spec.input_size)
    students = {source: _new(spec, seed).to(teacher.device).train() for source in sources}
    optimizers = {
        source: torch.optim.Adam(student.parameters(), lr=LEARNING_RATE)
        for source, student in students.items()
    }
    for step in range(steps):
        raise_if_stopped(monitor)
        x, labels = batches(step)
        with torch.no_grad():
            outputs = teacher.network.forward_stages(x)
            targets = {False: outputs.logits, True: honest(outputs.pooled)}
        losses = {
            source: student_loss(
                student(x),
                labels,
                None if source is None else targets[source.honest],
                temperature=1.0 if source is None else source.temperature,
                weight=DISTILLATION_WEIGHT,
            )
            for source, student in students.items()
        }
        for source, optimizer in optimizers.items():
            optimizer.param_groups[0]["lr"] = scheduled_rate("cosine", LEARNING_RATE, step, steps)
            optimizer.zero_grad(set_to_none=True)
            losses[source].backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        mean = float(torch.stack([loss.detach() for loss in losses.values()]).mean())
        if not math.isfinite(mean):
            raise TrainingFailed(f"A student's loss is {mean} at step {step + 1}.", code="non_finite")
        monitor.progress(step + 1, steps, student_loss=mean)
    return students


def sum_up(
    answers: Sequence[SeedAnswers],
    effort: StudentEffort,
    seeds: tuple[int, ...],
    batches: LabelledBatches,
    *,
    steps: int,
    seconds: float,
) -> PairedStudents:
    """Turn right and wrong answers into gains.

    Args:
        answers: Of each seed.
        effort: Which temperatures.
        seeds: In the order of ``answers``.
        batches: Of the last seed; says how many images were trained on.
        steps: Of each student.
        seconds: That all this took.
    """
    trained_on = len(batches.images)
    gains = tuple(student_gain(answers, Lesson(t), trained_on) for t in effort.temperatures)
    honest = Lesson(effort.judged, honest=True)
    slopes = [low - high for low, high in zip(gains[0].gains, gains[-1].gains, strict=True)]
    held_out = sum(len(answer.teacher) for answer in answers)
    return PairedStudents(
        architecture=ARCHITECTURE,
        seeds=seeds,
        distillation_weight=DISTILLATION_WEIGHT,
        steps=steps,
        images_seen=steps * batches.batch_size,
        training_images=trained_on,
        held_out_images=held_out,
        teacher=mean_accuracy([(answer.images, answer.teacher) for answer in answers]),
        labels=mean_accuracy([(answer.images, answer.students[None]) for answer in answers]),
        honest=mean_accuracy([(answer.images, answer.students[honest]) for answer in answers]),
        gains=gains,
        judged_temperature=effort.judged,
        against_honest=student_gain(answers, Lesson(effort.judged), trained_on, against=honest),
        slope=statistics.fmean(slopes),
        slope_error=error_of_mean(slopes, held_out / len(answers) / trained_on),
        seconds=seconds,
    )


def _new(spec: ArchitectureSpec, seed: int) -> StagedClassifier:
    with seeded(seed):
        return build(spec)


def _answers(
    teacher: Teacher,
    students: Mapping[Source, StagedClassifier],
    data: LabelledImages,
    held_out: Tensor,
) -> SeedAnswers:
    images, expected = data.images[held_out], data.labels[held_out].cpu()
    return SeedAnswers(
        held_out,
        predict(teacher.pixel_classifier(), images) == expected,
        {
            source: predict(PixelClassifier(student, teacher.normalization), images) == expected
            for source, student in students.items()
        },
    )
