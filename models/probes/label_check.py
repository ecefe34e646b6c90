"""Does the teacher mean the same classes by the same numbers as the labelled images?

The usual mistake is another order of the classes: a teacher numbered its classes as a dataset did, folders
are sorted as text. Then every label has a class of its own that most of its images go to, and it is not the
label's own. Source: ours.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from models.metrics import wilson
from models.results.rate import Rate
from models.results.teacher_check import ClassAgreement, LabelCheck

#: A label with fewer images is counted, but not judged.
FEWEST_IMAGES = 5
#: Below this agreement the labels cannot be those the teacher learned.
_DOUBTFUL = 0.5
_NAMED = 6


def check_labels(
    predictions: Tensor, labels: Tensor, *, num_classes: int, names: Sequence[str] = ()
) -> LabelCheck:
    """Compare a teacher's predictions with the labels.

    Args:
        predictions: int64 (N,), the teacher's classes; N is at least 1.
        labels: int64 (N,).
        num_classes: Of the teacher.
        names: Of the labels in their order; they stand in for missing ones by their number.
    """
    sides = max(num_classes, int(labels.max()) + 1)
    counts = torch.bincount(labels * sides + predictions, minlength=sides * sides).view(sides, sides)
    classes = tuple(
        _judge(label, counts[label], names[label] if label < len(names) else str(label))
        for label in counts.sum(1).nonzero().flatten().tolist()
    )
    moved = {found.label: rival for found in classes if (rival := _moved_to(found)) is not None}
    order = {found.label: moved.get(found.label, found.label) for found in classes if _is_judged(found)}
    consistent = bool(moved) and len(set(order.values())) == len(order)
    agreement = wilson(int((predictions == labels).sum()), len(labels))
    reordered = None
    if consistent:
        reordered = wilson(int((predictions == reorder(labels, moved)).sum()), len(labels))
    doubtful = bool(moved) or agreement.high < _DOUBTFUL or sides > num_classes
    check = LabelCheck(agreement, classes, tuple(moved.items()), consistent, reordered, "", doubtful)
    return replace(check, sentence=_sentence(check, num_classes))


def missing_classes(labels: Tensor, found: LabelCheck, num_classes: int) -> str:
    """Say which of the teacher's classes no image shows; empty if each has one.

    Args:
        labels: int64 (N,), of all images that were given, not only of those that were compared.
        found: Says which class the teacher means by a label.
        num_classes: Of the teacher.
    """
    means = dict(found.exchanged) if found.consistent else {}
    shown = {means.get(label, label) for label in set(labels.tolist())}
    missing = [str(label) for label in range(num_classes) if label not in shown]
    if not missing:
        return ""
    more = [f"{len(missing) - _NAMED} more"] if len(missing) > _NAMED else []
    return (
        f"No labelled image shows {len(missing)} of the teacher's {num_classes} classes "
        f"({', '.join([*missing[:_NAMED], *more])}): no figure here says how well a network knows them, nor "
        "what a trigger does to their images."
    )


def reorder(labels: Tensor, moved: Mapping[int, int]) -> Tensor:
    """Put labels, int64 (N,), into the teacher's order."""
    table = torch.arange(int(labels.max()) + 1)
    for label, said in moved.items():
        table[label] = said
    return table[labels]


def _judge(label: int, row: Tensor, name: str) -> ClassAgreement:
    n, own = int(row.sum()), int(row[label])
    others = row.clone()
    others[label] = 0
    rival = int(others.argmax()) if n > own else None
    share = None if rival is None else wilson(int(others[rival]), n)
    return ClassAgreement(label, name, wilson(own, n), rival, share)


def _is_judged(found: ClassAgreement) -> bool:
    return found.agreement.n >= FEWEST_IMAGES


def _moved_to(found: ClassAgreement) -> int | None:
    """Return the class that a label is taken for, if that is beyond chance and for most of its images."""
    share = found.rival_share
    if share is None or not _is_judged(found) or share.value < 0.5 or share.low <= found.agreement.high:
        return None
    return found.rival


def _sentence(check: LabelCheck, num_classes: int) -> str:
    text = f"The teacher agrees with the labels on {_told(check.agreement)} images."
    name_of = {found.label: found.name for found in check.classes}
    if max(name_of) >= num_classes:
        text += f" There are labels up to {max(name_of)}, and the teacher has {num_classes} classes."
    if not check.exchanged:
        return text + (
            " These are not the classes it was trained on, in this order." if check.doubtful else ""
        )
    told = [
        f"{name_of[label]} (label {label}) is its class {said}" for label, said in check.exchanged[:_NAMED]
    ]
    more = len(check.exchanged) - len(told)
    text += f" It takes labels for others: {', '.join(told)}{f', and {more} more' if more > 0 else ''}."
    if not check.consistent or check.agreement_reordered is None:
        return text
    share = check.agreement_reordered.value
    if skipped := _skipped(check):
        shown = ", ".join([*map(str, skipped[:_NAMED]), *(["..."] if len(skipped) > _NAMED else [])])
        return text + (
            f" Labels count the folders, and none is of its class {shown}, so that all behind are counted "
            f"too low; counted right it agrees on {share:.1%}. Give images of every class up to the last one "
            "shown."
        )
    text += f" Its classes seem to have another order, in which it agrees on {share:.1%}."
    if all(name_of[label].isdecimal() and int(name_of[label]) == said for label, said in check.exchanged):
        return text + " It counts by number and the folders are sorted as text: name them 00, 01, 02, ..."
    return text + " Rename the folders so that their order is the teacher's."


def _skipped(check: LabelCheck) -> list[int]:
    """Return the classes that no folder is of, if that alone moves the labels behind them."""
    moved = dict(check.exchanged)
    means = [moved.get(found.label, found.label) for found in check.classes]
    rising = all(said < after for said, after in itertools.pairwise(means))
    if not rising or not all(map(_is_judged, check.classes)):
        return []
    return sorted(set(range(means[-1])) - set(means))


def _told(rate: Rate) -> str:
    return f"{rate.value:.1%} ({rate.low:.1%} to {rate.high:.1%}) of {rate.n:,}"
