"""What a set of images says about itself: repetitions, imbalance, patches in too many images. NumPy only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from models.data.duplicates import Repetition, find_repetitions
from models.data.pictures import ImageGroup
from models.data.repeated_patches import FoundPatch, find_repeated_patches, looked_at
from models.results.inspection import DatasetFindings, RepeatedPatch

#: A class with so many times the images of another is worth a warning, and near repetitions of this share.
_IMBALANCE, _MANY_SIMILAR = 5.0, 0.01
#: Fewer images than this have too little in common to be looked at for patches.
_FEWEST = 50
_EXAMPLES = 8

Counts = npt.NDArray[np.int64]


def find_all(groups: Mapping[str, ImageGroup]) -> DatasetFindings:
    """Look at all images; patches are looked for among those of the most frequent size.

    Args:
        groups: By size, as ``pictures.Pictures.stack`` gives them.
    """
    exact: list[tuple[int, int]] = []
    similar: list[tuple[int, int]] = []
    conflicts: list[tuple[int, int]] = []
    for group in groups.values():
        for one in find_repetitions(group.images):
            pair = (int(group.positions[one.earlier]), int(group.positions[one.image]))
            (exact if one.exact else similar).append(pair)
            if _conflicting(group, one):
                conflicts.append(pair)
    largest = max(groups.values(), key=lambda group: len(group.images))
    count = looked_at(len(largest.images), *largest.images.shape[2:])
    patches: tuple[RepeatedPatch, ...] = ()
    if count >= _FEWEST:
        chosen = np.random.default_rng(0).permutation(len(largest.images))[:count]
        found = find_repeated_patches(largest.images[chosen])
        patches = tuple(_described(patch, largest, chosen) for patch in found)
    return DatasetFindings(
        exact_duplicates=len(exact),
        near_duplicates=len(similar),
        conflicting_labels=len(conflicts),
        duplicate_examples=tuple(dict.fromkeys(conflicts + exact + similar))[:_EXAMPLES],
        patches=patches,
        patches_looked_at=count if count >= _FEWEST else 0,
    )


def _conflicting(group: ImageGroup, one: Repetition) -> bool:
    return group.labels is not None and bool(group.labels[one.image] != group.labels[one.earlier])


def _described(patch: FoundPatch, group: ImageGroup, chosen: npt.NDArray[np.int64]) -> RepeatedPatch:
    rows = np.sort(chosen[patch.images])
    label, labelled = None, 0
    if group.labels is not None:
        label, labelled = Counter(group.labels[rows].tolist()).most_common(1)[0]
    return RepeatedPatch(
        side=patch.side,
        row=None if patch.place is None else patch.place[0],
        column=None if patch.place is None else patch.place[1],
        images=len(rows),
        neighborhood=patch.neighborhood,
        label=label,
        images_of_label=labelled,
        examples=tuple(int(position) for position in group.positions[rows[:_EXAMPLES]]),
    )


def describe(
    findings: DatasetFindings, images: int, classes: tuple[str, ...], class_counts: Iterable[int]
) -> tuple[str, ...]:
    """Say what is worth a warning, in sentences with numbers and places.

    Args:
        findings: Of the set.
        images: How many there are.
        classes: Names in label order; empty without labels.
        class_counts: Images of each.
    """
    lines = [_patch_line(patch, findings.patches_looked_at, classes) for patch in findings.patches]
    pairs = ", ".join(f"{earlier} and {later}" for earlier, later in findings.duplicate_examples[:3])
    if findings.conflicting_labels:
        lines.append(
            f"{findings.conflicting_labels:,} images repeat an earlier one under another label "
            f"(images {pairs}, counted from 0 in the order of their names)."
        )
    if findings.exact_duplicates or findings.near_duplicates >= _MANY_SIMILAR * images:
        lines.append(
            f"{findings.exact_duplicates:,} images are exact repetitions of earlier ones and "
            f"{findings.near_duplicates:,} nearly (images {pairs}): figures count them as independent."
        )
    counts = dict(zip(classes, class_counts, strict=True))
    if counts and max(counts.values()) >= _IMBALANCE * min(counts.values()):
        few, many = min(counts, key=lambda name: counts[name]), max(counts, key=lambda name: counts[name])
        lines.append(
            f"Classes are uneven: {few} has {counts[few]:,} images, {many} has {counts[many]:,}. Overall "
            "rates speak for the large classes."
        )
    return tuple(lines)


def _patch_line(patch: RepeatedPatch, looked_at_images: int, classes: tuple[str, ...]) -> str:
    place = "at different places" if patch.row is None else f"at row {patch.row}, column {patch.column}"
    share = ""
    if patch.label is not None:
        share = f", {patch.images_of_label:,} of them in class {classes[patch.label]}"
    examples = ", ".join(str(position) for position in patch.examples[:3])
    return (
        f"The same {patch.side}x{patch.side} patch is in {patch.images:,} of {looked_at_images:,} images "
        f"looked at, {place}{share} (images {examples}). Clean images do not have that: it may be a trigger."
    )
