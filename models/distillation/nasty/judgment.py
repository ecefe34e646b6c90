"""From answers on held-out images to what a protection is worth, in numbers and in words."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from models.metrics import wilson
from models.metrics.paired import paired_difference
from models.recipes.protect import ProtectRecipe
from models.results.protection import PairedDifference, ProtectionResult, Source, StudentTriple
from models.results.rate import Rate
from models.results.verification import Check

#: What a reader must know before relying on a protected network.
LIMITS = (
    "It hinders students that imitate the softened answers. It does not hinder anyone who copies the "
    "weights, trains on the answers' most likely class only, or trains on labels of their own.",
    "It was measured against one student with one temperature and weight, on your images. Other students, "
    "temperatures and images are harmed more or less; in the paper strong students lose least.",
    "Probabilities of the protected network are distorted on purpose. Do not use them as confidences, to "
    "calibrate, to rank or to refuse; only the most likely class is meant.",
    "It is no watermark: it does not prove later that a network was yours.",
    "It does not remove a backdoor: what the original hides may still be there. Audit it first.",
)


#: Rates of fewer images than this decide nothing, as where a student is accepted (``models/acceptance.py``).
FEWEST_IMAGES = 50


@dataclass(frozen=True, eq=False)
class ProtectionAnswers:
    """Classes that everyone named for the held-out images; all int64 (M,)."""

    labels: Tensor
    original: Tensor
    nasty: Tensor
    students: Sequence[tuple[int, Mapping[Source, Tensor]]]
    """For each repetition its seed, and the three students' answers by what they learned from."""


def judge(
    answers: ProtectionAnswers, recipe: ProtectRecipe, *, steps: int, seconds: float
) -> ProtectionResult:
    """Sum up a protection.

    Harm counts against both other students. One distilled from the original may lose as much against the
    labels: in short runs those of harmless networks did, by 7 points (docs/results.md), and then it is not
    the protection that harms.

    Args:
        answers: On the held-out images, at least one.
        recipe: Its threshold, and what the students were.
        steps: Of each student.
        seconds: That the students took.
    """
    change = paired_difference(answers.nasty == answers.labels, answers.original == answers.labels)
    triples = tuple(_triple(seed, of_seed, answers.labels) for seed, of_seed in answers.students)
    against_original = [triple.nasty_minus_original.value for triple in triples]
    against_labels = [triple.nasty_minus_labels.value for triple in triples]
    checks = tuple(_judged(check, change.n) for check in (_kept(change, recipe), _harmed(triples, recipe)))
    result = ProtectionResult(
        images=len(answers.labels),
        original_accuracy=_accuracy(answers.original, answers.labels),
        nasty_accuracy=_accuracy(answers.nasty, answers.labels),
        accuracy_change=change,
        agreement=_accuracy(answers.nasty, answers.original),
        student_architecture=recipe.harm.architecture,
        student_temperature=recipe.harm.temperature or recipe.temperature,
        distillation_weight=recipe.harm.distillation_weight,
        student_steps=steps,
        students=triples,
        mean_nasty_minus_original=statistics.fmean(against_original),
        mean_nasty_minus_labels=statistics.fmean(against_labels),
        spread_nasty_minus_original=_spread(against_original),
        spread_nasty_minus_labels=_spread(against_labels),
        checks=checks,
        accepted=all(check.passed for check in checks),
        sentence="",
        limits=LIMITS,
        seconds=seconds,
    )
    return replace(result, sentence=_sentence(result))


def _triple(seed: int, answers: Mapping[Source, Tensor], labels: Tensor) -> StudentTriple:
    right = {source: answers[source] == labels for source in answers}
    return StudentTriple(
        seed=seed,
        labels=_accuracy(answers["labels"], labels),
        original=_accuracy(answers["original"], labels),
        nasty=_accuracy(answers["nasty"], labels),
        nasty_minus_original=paired_difference(right["nasty"], right["original"]),
        nasty_minus_labels=paired_difference(right["nasty"], right["labels"]),
    )


def _accuracy(answers: Tensor, labels: Tensor) -> Rate:
    return wilson(int((answers == labels).sum()), len(labels))


def _spread(values: Sequence[float]) -> float | None:
    return statistics.stdev(values) if len(values) > 1 else None


def _kept(change: PairedDifference, recipe: ProtectRecipe) -> Check:
    lost = -change.value
    text = (
        f"the protected network against the original: {_points(change.value)} "
        f"(95 %: {_points(change.low)} to {_points(change.high)}) on {change.n:,} held-out images"
    )
    return Check(
        "accuracy lost", max(0.0, lost), recipe.max_accuracy_drop, lost <= recipe.max_accuracy_drop, text
    )


def _harmed(triples: Sequence[StudentTriple], recipe: ProtectRecipe) -> Check:
    of_labels = [triple.nasty_minus_labels for triple in triples]
    of_original = [triple.nasty_minus_original for triple in triples]
    harm = min(-statistics.fmean(found.value for found in each) for each in (of_labels, of_original))
    return Check(
        "accuracy a student loses by learning from it",
        max(0.0, harm),
        recipe.min_harm,
        harm >= recipe.min_harm,
        "the limit is the least that counts as protection; against a student of the labels alone: "
        f"{_listed(of_labels)}; against one of the original: {_listed(of_original)}",
    )


def _listed(differences: Sequence[PairedDifference]) -> str:
    return "; ".join(
        f"{_points(found.value)} (95 %: {_points(found.low)} to {_points(found.high)})"
        for found in differences
    )


def _judged(check: Check, images: int) -> Check:
    if images >= FEWEST_IMAGES:
        return check
    few = f"{images} images are too few to judge this by, at least {FEWEST_IMAGES} are needed"
    return replace(check, passed=None, text=f"{check.text}; {few}")


def _sentence(result: ProtectionResult) -> str:
    original, nasty = result.original_accuracy.value, result.nasty_accuracy.value
    mean = {
        source: statistics.fmean(getattr(triple, source).value for triple in result.students)
        for source in ("labels", "original", "nasty")
    }
    kept, harmed = result.checks
    text = (
        f"The protected network is right on {nasty:.1%} of {result.images:,} held-out images, the original "
        f"on {original:.1%}. A {result.student_architecture} that learns from it has {mean['nasty']:.1%}; "
        f"from the original {mean['original']:.1%}, from labels alone {mean['labels']:.1%}."
    )
    if result.images < FEWEST_IMAGES:
        text += f" So few images cannot tell: at least {FEWEST_IMAGES} must be held out."
    if kept.passed is False:
        text += f" It lost more than the {kept.limit:.1%} allowed: lower omega, or train longer."
    if harmed.passed is False and -result.mean_nasty_minus_labels >= harmed.limit:
        text += (
            " Learning from the original hurts as much, so that is not the protection's doing: raise omega, "
            "or train the students longer."
        )
    elif harmed.passed is False:
        text += (
            " Learning from it does not hurt enough to count as protection: raise omega, or try another "
            "temperature."
        )
    return text


def _points(share: float) -> str:
    return f"{100 * share:+.1f} points"
