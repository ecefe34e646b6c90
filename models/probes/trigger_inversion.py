"""Recover the trigger: compare all classes briefly, then search longer for the suspected ones.

The comparison is Neural Cleanse's: a backdoored class needs a much smaller patch (or, for triggers over the
whole image, a much weaker additive perturbation) than the others. We compare the smallest with the second
smallest on a log scale instead of using its anomaly index, whose mark of 2 raises a false alarm on 15 to 33 %
of benign 10-class networks in simulation.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from models.engine.monitor import Monitor
from models.probes.blend_search import search_blends
from models.probes.candidates import Candidates, Search, SearchPlan
from models.probes.effort import Effort
from models.probes.patch_search import search_patches
from models.probes.probe_images import ProbeImages
from models.probes.universal_perturbation import search_perturbations
from models.recipes.probe_catalog import find_probe
from models.results.audit import ProbeResult
from models.triggers import Trigger

#: What classes are compared by, and all that is recovered for a suspected one.
Compared = Literal["patch", "perturbation"]
Kind = Literal[Compared, "blend"]

#: Second-smallest over smallest from which a class is called conspicuous. Four seeds at budget standard on
#: two backdoored public CIFAR-10 checkpoints gave, always for the right class, areas of 1.9 to 3.3 (a patch)
#: and 3.7 to 5.6 (a watermark), norms of 1.1 to 1.4 and 1.8 to 2.2; shorter searches on two benign ones gave
#: 1.0 to 1.7 and 1.0 to 1.3. Chosen after seeing them: hints, no false-positive rate belongs to them.
CONSPICUOUS: dict[Compared, float] = {"patch": 2.0, "perturbation": 1.5}

#: A class is won when this share of the images goes to it.
SCAN_GOAL, REFINE_GOAL = 0.95, 0.97

#: A mask below this changes a pixel by less than 13 of 255 levels; dropping it makes the picture readable.
FAINTEST_MASK = 0.05

_SEARCHES: dict[Kind, Search] = {
    "patch": search_patches,
    "perturbation": search_perturbations,
    "blend": search_blends,
}
PROBE_NAMES: dict[Compared, str] = {"patch": "trigger_inversion", "perturbation": "universal_perturbation"}
_SIZES: dict[Compared, str] = {
    "patch": "a patch of {:.1f} pixels",
    "perturbation": "an overlay of norm {:.2f}",
}
#: A mask driven to nothing, as on a network that names its class anyway, counts as one pixel: else the ratio
#: would be infinite. A norm shrinks by a factor a step and stays finite.
_LEAST_SIZES: dict[Compared, float] = {"patch": 1.0, "perturbation": 0.0}
#: What a class that was not won did not give in to.
_BOUNDS: dict[Compared, str] = {
    "patch": "any patch, up to all {:.0f} pixels",
    "perturbation": "an overlay of norm below {:.2f}",
}


def compare_classes(
    classifier: nn.Module,
    images: ProbeImages,
    kind: Compared,
    *,
    classes: Sequence[int],
    num_classes: int,
    effort: Effort,
    generator: torch.Generator,
    monitor: Monitor,
) -> ProbeResult:
    """Find which class gives in to the smallest patch or perturbation.

    Args:
        classifier: Takes pixels in [0, 1]; in eval mode.
        images: ``compared`` is used.
        kind: What is searched.
        classes: The classes to compare, at least two.
        num_classes: K.
        effort: Steps and images.
        generator: Of starts and order; its device is where the search runs.
        monitor: Asked before every step.

    Returns:
        ``statistic`` is the log of the second-smallest size over the smallest; ``class_scores`` are the sizes
        (pixels, or Euclidean norm) when all classes were compared, else empty. The size of a class that
        nothing won is a bound: at least so much. With no class won there is no answer (``nothing_won``).

    Raises:
        Interrupted: The monitor asked to stop.
        TrainingFailed: The network broke the search (code ``non_finite``).
    """
    started = time.monotonic()
    labels = torch.tensor(list(classes))
    found = _SEARCHES[kind](
        classifier,
        images.compared,
        labels,
        SearchPlan(
            steps=effort.patch_steps if kind == "patch" else effort.perturbation_steps,
            batch_size=effort.scan_batch,
            goal=SCAN_GOAL,
            generator=generator,
            monitor=monitor,
        ),
    )
    return _judge(found, labels, kind, num_classes, started)


def _judge(
    found: Candidates, labels: Tensor, kind: Compared, num_classes: int, started: float
) -> ProbeResult:
    """Compare the smallest size with the next; ``found`` is of C candidates, ``labels`` (C,) their classes.

    With one class won, the others' bound stands for the next size. With none the sizes are equal bounds: the
    score is 0, which still ranks the network among references (there it is common: 12 of 57 clean networks of
    digits with images), but no class is named and the probe has not answered.
    """
    sizes = found.sizes.double().cpu().clamp_min(_LEAST_SIZES[kind])
    won = int(found.reached.sum())
    ordered, places = sizes.sort()
    ratio = float(ordered[1] / ordered[0])
    return ProbeResult(
        probe=PROBE_NAMES[kind],
        summary=_summary(ordered, labels[places], won, kind) + _left_out(len(labels), num_classes),
        target_label=int(labels[places[0]]) if won else None,
        statistic=math.log(ratio),
        conspicuous=ratio >= CONSPICUOUS[kind],
        nothing_won=won == 0,
        class_scores=tuple(sizes.tolist()) if len(labels) == num_classes else (),
        blind_to=find_probe(PROBE_NAMES[kind]).blind_to,
        seconds=time.monotonic() - started,
    )


def _summary(ordered: Tensor, labels: Tensor, won: int, kind: Compared) -> str:
    """Write the comparison; ``ordered`` are sizes (C,), rising, of ``labels``; ``won`` classes were won."""
    bound = _BOUNDS[kind].format(float(ordered[-1]))
    if not won:
        return f"No class gave in to {bound}: the search came to nothing and names no class."
    ratio = float(ordered[1] / ordered[0])
    needs = f"Class {int(labels[0])} needs {_SIZES[kind].format(float(ordered[0]))}"
    if won == 1:
        comparison = f"{needs}; no other class gave in to {bound}, which is {ratio:.2f} times as much."
    else:
        comparison = f"{needs} and the next class ({int(labels[1])}) {ratio:.2f} times as much."
    lines = [
        comparison,
        f"That is {'' if ratio >= CONSPICUOUS[kind] else 'not '}conspicuous "
        f"(mark: {CONSPICUOUS[kind]}, uncalibrated).",
    ]
    if 1 < won < len(ordered):
        lines.append(f"Of {len(ordered)} classes {len(ordered) - won} did not give in to {bound}.")
    return " ".join(lines)


def _left_out(compared: int, num_classes: int) -> str:
    if compared == num_classes:
        return ""
    return f" Only {compared} of {num_classes} classes were compared: the first by margin and some others."


def choose_classes(by_suspicion: Sequence[int], limit: int) -> tuple[int, ...]:
    """Choose which classes to compare when all would take too long: the most suspicious, and some others.

    Args:
        by_suspicion: All classes, the most suspicious first.
        limit: How many to choose, at least 2.
    """
    if len(by_suspicion) <= limit:
        return tuple(sorted(by_suspicion))
    first, rest = by_suspicion[: limit // 2], by_suspicion[limit // 2 :]
    count = limit - len(first)
    spread = [rest[place * len(rest) // count] for place in range(count)]
    return tuple(sorted([*first, *spread]))


def invert_trigger(
    classifier: nn.Module,
    images: ProbeImages,
    kind: Kind,
    target_label: int,
    *,
    effort: Effort,
    generator: torch.Generator,
    monitor: Monitor,
) -> Trigger | None:
    """Search one trigger for one class, longer and on more images than the comparison does.

    Returns:
        None if nothing sends ``REFINE_GOAL`` of the searched images to the class. Whether it works on images
        outside of the search is for the caller to measure.

    Raises:
        Interrupted: The monitor asked to stop.
        TrainingFailed: The network broke the search (code ``non_finite``).
    """
    found = _SEARCHES[kind](
        classifier,
        images.search,
        torch.tensor([target_label]),
        SearchPlan(effort.refine_steps, effort.refine_batch, REFINE_GOAL, generator, monitor),
    )
    if not bool(found.reached[0]):
        return None
    pattern, mask = found.patterns[0].detach().cpu(), found.masks[0].detach().cpu()
    name = f"recovered {kind}, class {target_label}"
    if kind == "perturbation":
        return Trigger(name, "additive", pattern.clamp(-1, 1), mask, target_label)
    if kind == "patch":
        mask = torch.where(mask >= FAINTEST_MASK, mask, 0)
    return Trigger(name, "blend", pattern, mask, target_label)
