"""A given trigger that does not lead to its target may do something else: look at it class by class.

The statistical probes are blind to backdoors that send every class to another one (all-to-all) and to those
that move the images of one class only (source-specific), and a success averaged over all images hides them: a
source-specific trigger of a 10-class network reaches 1 in 9. So the held-out images are sorted by the class
that the teacher names without the trigger, and each class is followed on its own.

Any large change of an image destroys what it shows, and a benign network then names some class or other. The
control therefore is the same trigger with its pixels shuffled: as many changed pixels, as strong, without the
shape. A class moves consistently if the lower bound of the share that goes to one other class is at least
``LOWEST_SUCCESS`` and exceeds the upper bound of the control's by ``LOWEST_GAIN``. Of several shuffles the
one that moves most counts. A trigger of one color over the whole image is its own control: nothing is said.

What is decided, and how surely:

- *All-to-all*: most classes move consistently, most of these to different ones and no more than half of them
  to the declared target. Else *source-specific*: some move to it, as of a trigger that works on half of the
  classes and sends one elsewhere. *Other target*: most classes move, and none to the declared one.
- *Proven* (``detected``) is what leads a class to the declared target, which was named before anyone looked:
  on clean images, and if the bounds of trigger and control, widened for the number of classes looked at
  (Bonferroni), are ``PROVEN_GAIN`` apart. Of all-to-all, too: one of the classes then goes there. Of a
  pattern given for several targets nothing is proven: one of them is wherever a benign network goes.
- All else is a doubt (``inconclusive``), however large: the destination was found by looking, a picture of
  a thing may lead to the class of that thing, and similar classes may change places on a benign network.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import torch
from torch import Tensor

from models.engine.seed import make_generator
from models.metrics import predict, wilson
from models.probes.audit_run import AuditRun
from models.probes.findings import LOWEST_GAIN, LOWEST_SUCCESS, listed, trigger_works
from models.probes.trigger_measuring import hides_image
from models.results.rate import Rate
from models.results.trigger_effect import ClassMovement, EffectKind, TriggerEffect
from models.triggers import Trigger

#: With fewer images of a class nothing is said of it: 9 of 10 have a lower bound of .60, 4 of 5 one of .38.
FEWEST_IMAGES = 10

#: Shuffles; the one that moves most images the same way is the control.
SHUFFLES = 3

#: Least distance between the widened bounds of trigger and control for a proof.
PROVEN_GAIN = 0.4

#: A kind other than source-specific takes at least so many classes, and at least this share of those judged.
FEWEST_CLASSES, LEAST_SHARE = 2, 0.5

#: Pairs of classes that a sentence names.
LISTED = 6


def look_class_by_class(audit: AuditRun) -> None:
    """Follow every given trigger that does not work and leaves enough of the image to mean something."""
    reports = {report.name: report for report in audit.reports if report.origin == "given"}
    for trigger in audit.given:
        report = reports.get(trigger.name)
        if report is None or trigger_works(report) or hides_image(trigger):
            continue
        shuffled = [
            shuffle_pixels(trigger, make_generator(audit.recipe.seed, f"shuffle {number} of {trigger.name}"))
            for number in range(SHUFFLES)
        ]
        images = audit.images.held_out
        named = Named(
            before=predict(audit.classifier, images),
            after=predict(audit.classifier, trigger.stamp(images)),
            controls=[predict(audit.classifier, control.stamp(images)) for control in shuffled],
        )
        source = audit.images.source
        effect = judge_effect(named, trigger, audit.teacher.spec.num_classes, source)
        audit.effects.append(
            replace(effect, proven=effect.proven and _targets(trigger, audit.given) == {trigger.target_label})
        )


def _targets(trigger: Trigger, given: Sequence[Trigger]) -> set[int]:
    """Return the targets that were named for one pattern, whatever its names."""
    return {
        other.target_label
        for other in given
        if other.kind == trigger.kind
        and torch.equal(other.pattern, trigger.pattern)
        and torch.equal(other.mask, trigger.mask)
    }


@dataclass(frozen=True, eq=False)
class Named:
    """The classes that the teacher names, int64 (N,) each: without the trigger, with it, with controls."""

    before: Tensor
    after: Tensor
    controls: Sequence[Tensor]


def shuffle_pixels(trigger: Trigger, generator: torch.Generator) -> Trigger:
    """Return the trigger with its pixels, colors and mask together, at random places of the image."""
    height, width = trigger.size
    order = torch.randperm(height * width, generator=generator)
    pattern, mask = (
        part.flatten(1)[:, order.to(part.device)].view(-1, height, width)
        for part in (trigger.pattern, trigger.mask)
    )
    return replace(trigger, name=f"{trigger.name}, shuffled", pattern=pattern, mask=mask)


def judge_effect(named: Named, trigger: Trigger, num_classes: int, image_source: str) -> TriggerEffect:
    """Say what the trigger does, from the classes named with and without it.

    Args:
        named: At least one image and one control.
        trigger: Its name and declared target are used.
        num_classes: K.
        image_source: ``clean images``, ``surrogate patches`` or ``inverted images``.
    """
    counts = torch.bincount(named.before, minlength=num_classes)
    sources = [label for label in range(num_classes) if int(counts[label]) >= FEWEST_IMAGES]
    movements = tuple(_follow(named, source, num_classes) for source in sources)
    kind = _kind(movements, trigger.target_label)
    to_target = [m for m in movements if m.consistent and m.destination == trigger.target_label]
    proven = image_source == "clean images" and any(_proven(m, len(sources)) for m in to_target)
    changed = wilson(int((named.after != named.before).sum()), len(named.before))
    most = max(int((control != named.before).sum()) for control in named.controls)
    return TriggerEffect(
        trigger=trigger.name,
        target_label=trigger.target_label,
        kind=kind,
        proven=proven,
        sentence=_sentence(kind, movements, trigger, changed),
        changed=changed,
        control_changed=wilson(most, len(named.before)),
        movements=movements,
        unjudged=num_classes - len(sources),
        image_source=image_source,
    )


def _follow(named: Named, source: int, num_classes: int) -> ClassMovement:
    own = named.before == source
    count = int(own.sum())
    elsewhere = torch.bincount(named.after[own], minlength=num_classes)
    elsewhere[source] = -1  # where all stay, the first other class stands for none
    destination = int(elsewhere.argmax())
    moved = wilson(int(elsewhere[destination]), count)
    control = wilson(max(int((shuffled[own] == destination).sum()) for shuffled in named.controls), count)
    consistent = moved.low >= LOWEST_SUCCESS and moved.low - control.high >= LOWEST_GAIN
    return ClassMovement(source, destination, moved, control, consistent)


def _kind(movements: Sequence[ClassMovement], target: int) -> EffectKind:
    consistent = [movement for movement in movements if movement.consistent]
    if not consistent:
        return "none"
    destinations = {movement.destination for movement in consistent}
    (only,) = destinations if len(destinations) == 1 else (None,)
    judged = [movement for movement in movements if movement.source != only]
    most = len(consistent) >= max(FEWEST_CLASSES, LEAST_SHARE * len(judged))
    to_target, half = sum(movement.destination == target for movement in consistent), len(consistent) / 2
    if most and len(destinations) > max(1.0, half) and to_target <= half:
        return "all_to_all"
    if target in destinations:
        return "source_specific"
    return "other_target" if most else "none"


def _proven(movement: ClassMovement, looked_at: int) -> bool:
    """Whether trigger and control are far apart even for the best of ``looked_at`` classes."""
    z = NormalDist().inv_cdf(1 - 0.025 / looked_at)
    low, high = _widened(movement.moved, z).low, _widened(movement.control, z).high
    return low >= LOWEST_SUCCESS and low - high >= PROVEN_GAIN


def _widened(rate: Rate, z: float) -> Rate:
    return wilson(round(rate.value * rate.n), rate.n, z=z)


def _sentence(kind: EffectKind, movements: Sequence[ClassMovement], trigger: Trigger, changed: Rate) -> str:
    moving = [movement for movement in movements if movement.consistent]
    if kind == "none":
        return f"Class by class, too, {trigger.name} moves no images together that a shuffled copy does not."
    if kind == "source_specific":
        moving = [movement for movement in moving if movement.destination == trigger.target_label]
        what = f"sends images of some classes alone to its target, class {trigger.target_label}"
    elif kind == "all_to_all":
        ends = len({movement.destination for movement in moving})
        what = f"sends the images of {len(moving)} of {len(movements)} classes to {ends} different classes"
    else:
        named = [str(label) for label, _ in Counter(m.destination for m in moving).most_common()]
        what = f"leads to class {listed(named)} and not to class {trigger.target_label} as declared"
    best = max(moving, key=lambda m: (m.destination == trigger.target_label, m.moved.low))
    pairs = [f"{movement.source} to {movement.destination}" for movement in moving]
    more = [f"{len(pairs) - LISTED} more"] if len(pairs) > LISTED else []
    return (
        f"{trigger.name} {what} ({listed([*pairs[:LISTED], *more])}): of {best.moved.n} images named class "
        f"{best.source} it sends {best.moved.value:.0%} to class {best.destination} (95 % interval "
        f"{best.moved.low:.0%} to {best.moved.high:.0%}); with shuffled pixels {best.control.value:.0%} go "
        f"there. Of all images it changes the class of {changed.value:.0%}."
    )
