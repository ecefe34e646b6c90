"""Do teacher, normalization and labelled images belong together? Asked before any figure is measured.

Another normalization is *better* if the exact McNemar test on the same images says so, corrected for the
number of trials. A declared one is then only warned about: the user may know what we do not. Any other
(assumed, estimated, named by the file or by a library) is replaced for the whole job if the gain is large:
it is a fact about the teacher, as its input size is, not a choice between students (``algorithms.md`` 8,
items 1 to 4 and 46).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from models.checkpoints.load import Teacher
from models.checkpoints.normalization_fit import COMMON
from models.data.bundle import AuditData
from models.engine.frozen import frozen
from models.engine.seed import derive_seed
from models.metrics import predict, wilson
from models.metrics.paired import mcnemar
from models.probes.label_check import check_labels, missing_classes, reorder
from models.recipes.architecture import Normalization
from models.results.inspection import NormalizationSource
from models.results.teacher_check import LabelCheck, NormalizationCheck, NormalizationTrial, TeacherCheck

#: Images that the labels are compared on, and of those, how many every normalization is tried on.
MOST_IMAGES, MOST_TRIED = 2_000, 500
#: Significance of "better", after correction, and the gain from which on it is used.
SIGNIFICANCE, LARGE_GAIN = 1e-3, 0.05

CANDIDATES: Mapping[str, Normalization] = {
    **COMMON,
    "CIFAR-100's statistics": Normalization((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
}
_SOURCES: Mapping[NormalizationSource, str] = {
    "declared": "the declared normalization",
    "file": "the normalization that the file names",
    "library": "the normalization that the library names",
    "assumed": "the normalization that was assumed",
    "estimated": "the normalization estimated from the first BatchNorm",
}


@dataclass(frozen=True, eq=False)
class _Tried:
    name: str
    normalization: Normalization
    predictions: Tensor
    """int64 (n,), on the images that all are tried on."""


def check_teacher(
    teacher: Teacher, data: AuditData, source: NormalizationSource, *, seed: int
) -> TeacherCheck | None:
    """Compare teacher and labelled images.

    Args:
        teacher: With the normalization of its inspection.
        data: What the user gave.
        source: Where that normalization comes from.
        seed: Of the choice of images.

    Returns:
        None without labelled images.
    """
    if data.images is None or data.labels is None or not len(data.images):
        return None
    generator = torch.Generator().manual_seed(derive_seed(seed, "teacher check"))
    chosen = torch.randperm(len(data.images), generator=generator)[:MOST_IMAGES]
    images, labels = data.images[chosen], data.labels[chosen]
    tried, trial_labels = images[:MOST_TRIED], labels[:MOST_TRIED]
    given = _try(teacher, _SOURCES[source], teacher.normalization, tried)
    others = [
        _try(teacher, name, normalization, tried)
        for name, normalization in CANDIDATES.items()
        if normalization != teacher.normalization
    ]
    understood = _understood(teacher, [given, *others], trial_labels)
    normalization = _compare(given, others, understood, declared=source == "declared")
    settled = replace(teacher, normalization=normalization.used)
    found = _check_labels(settled, _predict(settled, images), labels, data.classes)
    warnings = [normalization.sentence] if normalization.better else []
    # Through a wrong normalization a teacher disagrees with any labels; that has been said then.
    misread = normalization.better is not None and not normalization.replaced
    warnings += [found.sentence] if found.doubtful and (found.consistent or not misread) else []
    missing = missing_classes(data.labels, found, teacher.spec.num_classes)
    return TeacherCheck(len(chosen), found, normalization, (*warnings, *([missing] if missing else [])))


def settle(teacher: Teacher, check: TeacherCheck | None) -> Teacher:
    """Return the teacher behind the normalization that the job uses."""
    return teacher if check is None else replace(teacher, normalization=check.normalization.used)


def _predict(teacher: Teacher, images: Tensor) -> Tensor:
    with frozen(teacher.pixel_classifier()) as classifier:
        return predict(classifier, images)


def _try(teacher: Teacher, name: str, normalization: Normalization, images: Tensor) -> _Tried:
    return _Tried(name, normalization, _predict(replace(teacher, normalization=normalization), images))


def _check_labels(
    teacher: Teacher, predictions: Tensor, labels: Tensor, names: tuple[str, ...] = ()
) -> LabelCheck:
    return check_labels(predictions, labels, num_classes=teacher.spec.num_classes, names=names)


def _understood(teacher: Teacher, trials: list[_Tried], labels: Tensor) -> Tensor:
    """Return the labels in the order that suits the teacher best through any of the normalizations.

    Through a wrong one, a teacher whose classes are in another order may agree with no order at all.
    """
    best, best_share = labels, 0.0
    for trial in trials:
        check = _check_labels(teacher, trial.predictions, labels)
        rate = check.agreement_reordered or check.agreement
        if rate.value > best_share:
            moved = dict(check.exchanged) if check.agreement_reordered else {}
            best, best_share = reorder(labels, moved), rate.value
    return best


def _compare(given: _Tried, others: list[_Tried], labels: Tensor, *, declared: bool) -> NormalizationCheck:
    right = given.predictions == labels
    trials = [NormalizationTrial(given.name, given.normalization, wilson(int(right.sum()), len(right)), None)]
    for other in others:
        hits = other.predictions == labels
        p_value = mcnemar(int((hits & ~right).sum()), int((right & ~hits).sum()))
        rate = wilson(int(hits.sum()), len(hits))
        trials.append(
            NormalizationTrial(other.name, other.normalization, rate, min(1.0, p_value * len(others)))
        )
    base = trials[0].accuracy.value
    best = max(trials[1:], key=lambda trial: trial.accuracy.value)
    gain = best.accuracy.value - base
    better = gain > 0 and best.p_value is not None and best.p_value < SIGNIFICANCE
    replaced = better and not declared and gain >= LARGE_GAIN
    return NormalizationCheck(
        trials=tuple(trials),
        better=best.name if better else None,
        replaced=replaced,
        used=best.normalization if replaced else given.normalization,
        sentence=_sentence(trials[0], best, better=better, replaced=replaced, declared=declared),
    )


def _sentence(
    given: NormalizationTrial, best: NormalizationTrial, *, better: bool, replaced: bool, declared: bool
) -> str:
    n = given.accuracy.n
    if not better:
        return (
            f"Through {given.name} the teacher is right on {given.accuracy.value:.1%} of {n:,} images; no "
            "other common normalization is better beyond chance."
        )
    text = (
        f"Through {given.name} the teacher is right on {given.accuracy.value:.1%} of {n:,} images, through "
        f"{best.name} on {best.accuracy.value:.1%} (p = {best.p_value:.1g})."
    )
    if replaced:
        return text + " None was declared, so this job uses the latter in all its stages."
    if declared:
        return text + " The declared one was used: check mean and std, every figure depends on them."
    return text + " The difference is small, so nothing was changed: declare mean and std to be sure."
