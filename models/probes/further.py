"""The probes without a mark, one after another: their numbers wait for clean references."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from models.engine.monitor import Monitor, raise_if_stopped
from models.engine.seed import make_generator
from models.errors import RecipeError, TrainingFailed
from models.probes.audit_run import AuditRun
from models.probes.feature_variance import feature_variance
from models.probes.head_statistics import head_statistics
from models.probes.local_dominance import local_dominance, one_image_per_class
from models.probes.portion import Portion
from models.probes.shuffle_sensitivity import shuffle_sensitivity
from models.probes.unmarked import without_number
from models.results.audit import ProbeResult

_Probe = Callable[[AuditRun, torch.Generator, Monitor], ProbeResult]


def further_probes(audit: AuditRun, monitor: Monitor) -> list[ProbeResult]:
    """Run the probes whose numbers are reported and decide nothing.

    Args:
        audit: Teacher, images and effort; left as it was.
        monitor: Told of every step.

    Returns:
        One result a probe, always in the same order. One that cannot answer has no statistic and says why.

    Raises:
        Interrupted: The monitor asked to stop.
    """
    results = []
    for place, (name, probe) in enumerate(_PROBES.items()):
        raise_if_stopped(monitor)
        device = "cpu" if name == "shuffle_sensitivity" else audit.teacher.device
        generator = make_generator(audit.recipe.seed, name, device)
        span = Portion(monitor, place / len(_PROBES), (place + 1) / len(_PROBES))
        try:
            results.append(probe(audit, generator, span))
        except (RecipeError, TrainingFailed) as problem:
            results.append(without_number(name, problem))
    return results


def _head(audit: AuditRun, generator: torch.Generator, monitor: Monitor) -> ProbeResult:
    del monitor  # milliseconds
    return head_statistics(audit.classifier, audit.teacher.spec.num_classes, generator=generator)


def _dominance(audit: AuditRun, generator: torch.Generator, monitor: Monitor) -> ProbeResult:
    classes = audit.teacher.spec.num_classes
    chosen = one_image_per_class(audit.classifier, audit.data, audit.images, classes, generator=generator)
    return local_dominance(
        audit.classifier,
        chosen,
        classes,
        noises=audit.effort.noises,
        generator=generator,
        monitor=monitor,
    )


def _sensitivity(audit: AuditRun, generator: torch.Generator, monitor: Monitor) -> ProbeResult:
    return shuffle_sensitivity(
        audit.classifier,
        _described(audit),
        audit.images.source,
        num_classes=audit.teacher.spec.num_classes,
        copies=audit.effort.shuffles,
        generator=generator,
        monitor=monitor,
    )


def _variance(audit: AuditRun, generator: torch.Generator, monitor: Monitor) -> ProbeResult:
    del generator  # nothing is drawn
    return feature_variance(audit.classifier, _described(audit), audit.images.source, monitor=monitor)


def _described(audit: AuditRun) -> Tensor:
    """All that the other probes search and measure on may be described here."""
    images = audit.images
    return torch.cat([images.held_out, images.search])[: audit.effort.described_images]


_PROBES: Mapping[str, _Probe] = {
    "head_statistics": _head,
    "local_dominance": _dominance,
    "shuffle_sensitivity": _sensitivity,
    "feature_variance": _variance,
}
