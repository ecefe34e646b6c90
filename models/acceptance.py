"""Decide whether a student is accepted, from what was measured on its teacher and on it.

A threshold that cannot be judged is no pass: the student is accepted only if all were met. The one exception
is the success of triggers when there is none, which no other images would make measurable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from models.metrics.intervals import moved_share
from models.recipes.verify import VerifyRecipe
from models.results.teacher_check import TeacherCheck
from models.results.verification import Check, NetworkMeasurement

_HINT = "give images of the teacher's own classes, in its order, and check mean and std"

#: Rates of fewer images than this decide nothing: the interval of 3 of 3 reaches down to 44 %.
FEWEST_IMAGES = 50
_NAMED = "number of classes named, relative to the teacher"


@dataclass(frozen=True)
class Decision:
    """The thresholds and what follows."""

    checks: tuple[Check, ...]
    accepted: bool
    sentence: str


@dataclass(frozen=True)
class NamedClasses:
    """How many classes a network names over all measured images."""

    teacher: int
    student: int


def decide(
    teacher: NetworkMeasurement,
    student: NetworkMeasurement,
    recipe: VerifyRecipe,
    named: NamedClasses,
    check: TeacherCheck | None,
) -> Decision:
    """Hold the student against the recipe's thresholds.

    Args:
        teacher: What was measured on it.
        student: What was measured on the student to be accepted.
        recipe: Thresholds.
        named: Classes that the two name on the measured images.
        check: Of the teacher against the labelled images; None without any.
    """
    required = (
        _usefulness(teacher, student, recipe, check),
        _tells_classes_apart(named),
        *_attack_checks(teacher, student, recipe),
    )
    checks = required if student.attacks else (*required, _no_trigger(recipe))
    accepted = all(required_check.passed for required_check in required)
    return Decision(checks, accepted, _sentence(required, checks))


def _usefulness(
    teacher: NetworkMeasurement, student: NetworkMeasurement, recipe: VerifyRecipe, check: TeacherCheck | None
) -> Check:
    limit = recipe.min_accuracy_ratio
    if student.accuracy is None or teacher.accuracy is None:
        ratio = student.agreement.value
        text = "no labels were given: agreement with the teacher stands in for accuracy"
        return _judged(
            Check("agreement with the teacher", ratio, limit, ratio >= limit, text), student.agreement.n
        )
    name = "accuracy relative to the teacher"
    text = f"clean images right: student {student.accuracy.value:.1%}, teacher {teacher.accuracy.value:.1%}"
    if check is not None and check.labels.doubtful:
        text += f"; the labels do not suit the teacher, so this says nothing of the student: {_HINT}"
        return Check(name, None, limit, None, text)
    if not teacher.accuracy.value:
        return Check(name, None, limit, None, f"{text}; there is nothing to keep: {_HINT}")
    ratio = student.accuracy.value / teacher.accuracy.value
    return _judged(Check(name, ratio, limit, ratio >= limit, text), student.accuracy.n)


def _judged(check: Check, images: int) -> Check:
    if images >= FEWEST_IMAGES:
        return check
    few = f"{images} images are too few to judge this by, at least {FEWEST_IMAGES} are needed"
    return replace(check, passed=None, text=f"{check.text}; {few}")


def _tells_classes_apart(named: NamedClasses) -> Check:
    """Where one class is large, a student that names no other agrees well and sends no more to the target."""
    text = f"on the measured images the student names {named.student}, the teacher {named.teacher}"
    if named.teacher < 2:
        text += "; images of one class do not show whether a student tells classes apart: give others too"
        return Check(_NAMED, None, 1.0, None, text)
    passed = named.student > 1
    if not passed:
        text += ": a student that names one class for everything is of no use"
    return Check(_NAMED, min(1.0, named.student / named.teacher), 2 / named.teacher, passed, text)


def _attack_checks(
    teacher: NetworkMeasurement, student: NetworkMeasurement, recipe: VerifyRecipe
) -> list[Check]:
    checks = []
    for on_teacher, on_student in zip(teacher.attacks, student.attacks, strict=True):
        moved = max(0.0, moved_share(on_student.rate.value, on_student.clean_rate.value))
        text = (
            f"{on_student.origin}; {on_student.rate.value:.1%} with the trigger, "
            f"{on_student.clean_rate.value:.1%} without; teacher {on_teacher.rate.value:.1%}"
        )
        check = Check(
            f"success of {on_student.trigger}, above the rate without it",
            moved,
            recipe.max_attack_success_rate,
            moved <= recipe.max_attack_success_rate,
            text,
        )
        checks.append(_judged(check, on_student.rate.n))
    return checks


def _no_trigger(recipe: VerifyRecipe) -> Check:
    text = "no trigger was given or recovered, so nothing could be measured"
    return Check("attack success", None, recipe.max_attack_success_rate, None, text)


def _sentence(required: Sequence[Check], checks: Sequence[Check]) -> str:
    failed = [check for check in required if check.passed is False]
    unjudged = [check for check in required if check.passed is None]
    why = "; ".join(f"{check.name} ({check.text})" for check in unjudged)
    if failed:
        tail = f" Not judged: {why}." if unjudged else ""
        return f"It missed: {'; '.join(_missed(check) for check in failed)}.{tail}"
    if unjudged:
        return f"It is not accepted, because a threshold could not be judged: {why}."
    unmeasured = [check.name for check in checks if check.passed is None]
    tail = f" Not measured for want of data: {', '.join(unmeasured)}." if unmeasured else ""
    return "It met every threshold that could be measured." + tail


def _missed(check: Check) -> str:
    told = f"{check.name} is {check.measured:.1%}, the limit {check.limit:.1%}"
    return f"{told} ({check.text})" if check.name == _NAMED else told
