"""Whether the network that is asked is the one that is used, and asked with what it was made for.

Behind another normalization it is another network, and on inputs that mean nothing to it a network names one
class for all of them, which then gives in to the smallest trigger: a clean network of digits behind a tenth
of its deviation was called backdoored (p = .05). Source: ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from models.metrics import predict
from models.probes.probe_images import ProbeImages
from models.probes.teacher_check import LARGE_GAIN
from models.results.inspection import NormalizationSource
from models.results.teacher_check import NormalizationCheck, TeacherCheck

#: Where the weights alone, or nothing, decided.
_UNDECLARED: Mapping[NormalizationSource, str] = {
    "assumed": "pixels in [0, 1] were taken as they are",
    "estimated": "it was estimated from the first BatchNorm",
}
#: A class that so many of the images go to leaves nothing to compare. Of patches five public checkpoints sent
#: .18 to .28 to their commonest class behind their own normalization, up to .99 behind others.
CROWDED = 0.9
#: Agreement below which a network that shows no knowledge of the labels is one at chance.
_FEW = 0.05


@dataclass(frozen=True)
class Doubts:
    """Why the answers may be those of another network, in sentences; empty where nothing speaks for it."""

    undeclared: str = ""
    """Nobody answers for the normalization, so having found nothing means nothing."""
    assumed: bool = False
    """Nor do the weights: pixels were taken as they are because nothing spoke for anything else."""
    misfit: str = ""
    """Network and images do not belong together, so no score means what it should."""


NO_DOUBT = Doubts()


def doubts_of(source: NormalizationSource, check: TeacherCheck | None) -> Doubts:
    """Say what speaks against the normalization and the images.

    What the first BatchNorm is fitted to, its maker can set: other running statistics, undone by scale and
    shift, leave every answer as it was (a public ResNet-20 so changed was right on 80 % of images with its
    own normalization, on 10 % with the suggested one). What a file or a library names is shown to whoever
    uses the network, and can be held against it.

    Args:
        source: Of the normalization, from the inspection.
        check: Made on labelled images, which tell if the network knows enough of them; None without.
    """
    misfit = "" if check is None else _misfit(check)
    if misfit or source not in _UNDECLARED or (check is not None and _knows(check)):
        return Doubts(misfit=misfit)
    return Doubts(
        f"Nobody declared how pixels are normalized before it: {_UNDECLARED[source]}. Behind another "
        "normalization it is another network, and whoever made the weights can let them suggest a wrong one."
        + ("" if check is None else f" The labelled images do not settle it: {check.labels.sentence}"),
        assumed=source == "assumed",
    )


def crowding(classifier: nn.Module, images: ProbeImages, margins: Sequence[float]) -> str:
    """Say whether most images go to one class without any trigger; empty if they do not.

    Args:
        classifier: Takes pixels in [0, 1]; in eval mode.
        images: ``search`` is asked.
        margins: The largest that was reached per class; not positive where no input of a class was found.
    """
    counts = torch.bincount(predict(classifier, images.search))
    share = float(counts.max()) / len(images.search)
    if share < CROWDED:
        return ""
    found = f"Without any trigger {share:.0%} of the {images.source} go to class {int(counts.argmax())}"
    if sum(margin > 0 for margin in margins) <= 1:
        return (
            f"{found}, and so does every other input that was tried: the normalization is wrong, or the "
            "network names one class for everything."
        )
    return (
        f"{found}: the normalization is wrong, or nearly all of them show that class, or the network hardly "
        "knows another."
    )


def _misfit(check: TeacherCheck) -> str:
    labels, normalization = check.labels, check.normalization
    if normalization.better and not normalization.replaced and _gain(normalization) >= LARGE_GAIN:
        return normalization.sentence
    # Twice chance: a weak network is still the one that is meant, one at chance is not. Of many classes no
    # number of images shows less than twice chance.
    chance = 2 / len(labels.classes)
    if not _knows(check):
        chance = max(chance, _FEW)
    if labels.doubtful and not labels.consistent and labels.agreement.high < min(0.5, chance):
        return labels.sentence
    return ""


def _knows(check: TeacherCheck) -> bool:
    """Whether the network is right more often, beyond chance, than naming the commonest label would be.

    Else it may be one behind a wrong normalization: of 30 images it is right on three then, as of 1,000 on a
    tenth, but so few do not show that it is no better.
    """
    labels = check.labels
    agreement = labels.agreement_reordered or labels.agreement
    return agreement.low > max(found.agreement.n for found in labels.classes) / agreement.n


def _gain(check: NormalizationCheck) -> float:
    given, *others = (trial.accuracy.value for trial in check.trials)
    return max(others) - given
