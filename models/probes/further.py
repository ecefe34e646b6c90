"""The probes without a mark, one after another: their numbers wait for clean references."""

from __future__ import annotations

from collections.abc import Callable

import torch

from models.architectures import PixelClassifier
from models.data.bundle import AuditData
from models.engine.monitor import Monitor, raise_if_stopped
from models.engine.seed import make_generator
from models.errors import RecipeError, TrainingFailed
from models.probes.effort import Effort
from models.probes.feature_variance import feature_variance
from models.probes.head_statistics import head_statistics
from models.probes.local_dominance import local_dominance, one_image_per_class
from models.probes.portion import Portion
from models.probes.probe_images import ProbeImages
from models.probes.shuffle_sensitivity import shuffle_sensitivity
from models.probes.unmarked import without_number
from models.results.audit import ProbeResult

_Probe = Callable[[torch.Generator, Monitor], ProbeResult]


def further_probes(
    classifier: PixelClassifier,
    num_classes: int,
    data: AuditData,
    images: ProbeImages,
    effort: Effort,
    *,
    seed: int,
    monitor: Monitor,
) -> list[ProbeResult]:
    """Run the probes whose numbers are reported and decide nothing.

    Args:
        classifier: The suspect, in eval mode.
        num_classes: K.
        data: Its clean images, if any.
        images: What the other probes search and measure on; all of it may be described here.
        effort: Noises, shuffles, images.
        seed: Each probe has a stream of its own.
        monitor: Told of every step.

    Returns:
        One result a probe, always in the same order. One that cannot answer has no statistic and says why.

    Raises:
        Interrupted: The monitor asked to stop.
    """
    device = next(classifier.parameters()).device
    described = torch.cat([images.held_out, images.search])[: effort.described_images]

    def dominance(generator: torch.Generator, span: Monitor) -> ProbeResult:
        chosen = one_image_per_class(classifier, data, images, num_classes, generator=generator)
        return local_dominance(
            classifier, chosen, num_classes, noises=effort.noises, generator=generator, monitor=span
        )

    def sensitivity(generator: torch.Generator, span: Monitor) -> ProbeResult:
        return shuffle_sensitivity(
            classifier,
            described,
            images.source,
            num_classes=num_classes,
            copies=effort.shuffles,
            generator=generator,
            monitor=span,
        )

    probes: dict[str, _Probe] = {
        "head_statistics": lambda generator, _: head_statistics(classifier, num_classes, generator=generator),
        "local_dominance": dominance,
        "shuffle_sensitivity": sensitivity,
        "feature_variance": lambda _, span: feature_variance(
            classifier, described, images.source, monitor=span
        ),
    }
    results = []
    for place, (name, probe) in enumerate(probes.items()):
        raise_if_stopped(monitor)
        generator = make_generator(seed, name, "cpu" if name == "shuffle_sensitivity" else device)
        try:
            results.append(probe(generator, Portion(monitor, place / len(probes), (place + 1) / len(probes))))
        except (RecipeError, TrainingFailed) as problem:
            results.append(without_number(name, problem))
    return results
