"""One audit while it runs: its inputs, and what has been found so far."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import nn

from models.architectures import PixelClassifier
from models.checkpoints.load import Teacher
from models.data.bundle import AuditData
from models.engine.frozen import frozen
from models.engine.monitor import Monitor
from models.engine.precision import to_channels_last
from models.engine.seed import make_generator
from models.errors import RecipeError
from models.probes.audit_parts import Part, part_spans
from models.probes.calibration.reference_set import ReferenceSet
from models.probes.effort import EFFORTS, Effort
from models.probes.logit_scale import at_ordinary_scale
from models.probes.portion import Portion
from models.probes.probe_images import ProbeImages, enough_clean_images, images_for
from models.probes.surrogates import settle_surrogates, with_surrogates
from models.recipes.job import Recipe
from models.results.audit import ChannelResult, ProbeResult, TransferResult, TriggerReport
from models.results.calibration import CalibrationResult
from models.results.trigger_effect import TriggerEffect
from models.results.undistillable import UndistillableResult
from models.triggers import Trigger


@dataclass
class AuditRun:
    """One run: its inputs, and what has been found so far."""

    teacher: Teacher
    classifier: PixelClassifier
    data: AuditData
    given: Sequence[Trigger]
    recipe: Recipe
    effort: Effort
    images: ProbeImages
    monitor: Monitor
    probes: list[ProbeResult] = field(default_factory=list)
    reports: list[TriggerReport] = field(default_factory=list)
    effects: list[TriggerEffect] = field(default_factory=list)
    recovered: list[Trigger] = field(default_factory=list)
    transfers: tuple[TransferResult, ...] = ()
    channels: tuple[ChannelResult, ...] = ()
    failures: list[str] = field(default_factory=list)
    crowded: str = ""
    """That nearly all images go to one class without any trigger, in a sentence; empty if they do not."""
    calibration: CalibrationResult | None = None
    undistillable: UndistillableResult | None = None

    def generator(self, stream: str) -> torch.Generator:
        """Make a probe's source of randomness; its device is where the probe computes."""
        return make_generator(self.recipe.seed, stream, self.teacher.device)

    def portion(self, part: Part) -> Portion:
        """Return the monitor of one part, which knows its place in the whole."""
        return _portion(part, self.teacher, self.data, self.recipe, self.monitor)

    @property
    def has_margins(self) -> bool:
        """Whether the margin probe, which runs first, gave a result."""
        return bool(self.probes) and self.probes[0].probe == "mmbd"

    @property
    def searched(self) -> nn.Module:
        """The classifier as searches for triggers ask it, with logits of an ordinary size."""
        return at_ordinary_scale(self.classifier, self.probes[0].class_scores)

    def classes_by_margin(self) -> list[int]:
        """Return the classes, that of the largest margin first."""
        return [int(label) for label in torch.tensor(self.probes[0].class_scores).argsort(descending=True)]


@contextmanager
def begin(
    teacher: Teacher,
    data: AuditData,
    triggers: Sequence[Trigger],
    recipe: Recipe,
    monitor: Monitor,
    *,
    sets: Sequence[ReferenceSet] = (),
) -> Iterator[AuditRun]:
    """Prepare images and budget, and hold the teacher still until the audit is over.

    The teacher's convolutions are stored channels-last from here on: the same function, up to rounding, in
    less time (docs/results.md).

    Args:
        teacher: The suspect.
        data: What the user gave.
        triggers: Likewise.
        recipe: That of the run has ``auto`` surrogates replaced by what they are here.
        monitor: Of the whole audit.
        sets: Clean reference networks, by which ``auto`` chooses.

    Raises:
        DataRejected: A photograph is too small to cut patches from.
        RecipeError: Inverted images are asked of a network without BatchNorm (code ``batchnorm_missing``) or
            with statistics that are of no images (``batchnorm_unusable``). Where ``auto`` chose them, the run
            has patches instead and says so among its failures.
        Interrupted: The monitor asked to stop while images were inverted.
    """
    effort = EFFORTS[recipe.probe.budget]
    to_channels_last(teacher.network)
    settled, failures = settle_surrogates(teacher, data, recipe, sets), []
    with frozen(teacher.pixel_classifier()) as classifier:
        try:
            images = _images(classifier, teacher, data, settled, monitor)
        except RecipeError as problem:
            if recipe.probe.surrogates != "auto":
                raise
            settled = with_surrogates(recipe, "patches")
            images = _images(classifier, teacher, data, settled, monitor)
            failures = [f"{problem.detail} Patches of photographs stood in for them."]
        yield AuditRun(
            teacher, classifier, data, triggers, settled, effort, images, monitor, failures=failures
        )


def _images(
    classifier: nn.Module, teacher: Teacher, data: AuditData, recipe: Recipe, monitor: Monitor
) -> ProbeImages:
    inversion = _portion("images", teacher, data, recipe, monitor)
    patches = EFFORTS[recipe.probe.budget].surrogate_images
    return images_for(classifier, teacher.spec, data, recipe, patches=patches, monitor=inversion)


def _portion(part: Part, teacher: Teacher, data: AuditData, recipe: Recipe, monitor: Monitor) -> Portion:
    spans = part_spans(
        EFFORTS[recipe.probe.budget],
        recipe.probe,
        teacher.spec.num_classes,
        given=data.images is not None,
        enough=enough_clean_images(data),
    )
    return Portion(monitor, *spans[part])
