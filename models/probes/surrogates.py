"""What stands in for clean images: what ``probe.surrogates`` says, or, where it says ``auto``, what fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from models.checkpoints.load import Teacher
from models.data.bundle import AuditData
from models.distillation.inversion.batchnorm_statistics import statistics_obstacle
from models.probes.calibration.choose import choose_set
from models.probes.calibration.conditions import conditions_of
from models.probes.calibration.conformal import fewest_references
from models.probes.calibration.reference_set import ReferenceSet
from models.probes.probe_images import enough_clean_images
from models.recipes.job import Recipe
from models.recipes.probe import Surrogates
from models.results.audit import AuditResult


def with_surrogates(recipe: Recipe, surrogates: Surrogates) -> Recipe:
    """Return the same recipe with other surrogates."""
    return replace(recipe, probe=replace(recipe.probe, surrogates=surrogates))


def settle_surrogates(
    teacher: Teacher, data: AuditData, recipe: Recipe, sets: Sequence[ReferenceSet]
) -> Recipe:
    """Return the recipe with ``auto`` replaced by what it means for a teacher; any other as it is.

    Inverted images show more than patches do (docs/evaluation.md), but only a comparison with clean networks
    makes a detection. So ``auto`` takes them where there are references for it that were scored on inverted
    images, enough of them, and of the same architecture unless those scored on patches are of a relative too.
    Everything else, among it a network without BatchNorm, is asked on patches.

    Args:
        teacher: The suspect.
        data: What the user gave.
        recipe: Its budget, patch style and task choose among the references.
        sets: Clean reference networks.
    """
    if recipe.probe.surrogates != "auto":
        return recipe
    patches, inverted = (with_surrogates(recipe, kind) for kind in ("patches", "inverted"))
    if enough_clean_images(data) or statistics_obstacle(teacher.network):
        return patches
    enough, same = _worth(teacher, data, inverted, sets)
    return inverted if enough and (enough, same) >= _worth(teacher, data, patches, sets) else patches


def as_audited(recipe: Recipe, audit: AuditResult | None) -> Recipe:
    """Return the recipe with what ``auto`` meant in an audit; patches if there was none."""
    if recipe.probe.surrogates != "auto":
        return recipe
    inverted = audit is not None and audit.image_source == "inverted images"
    return with_surrogates(recipe, "inverted" if inverted else "patches")


def _worth(
    teacher: Teacher, data: AuditData, recipe: Recipe, sets: Sequence[ReferenceSet]
) -> tuple[bool, bool]:
    """Say whether the best references are enough for a detection, and whether of the same architecture."""
    found = choose_set(conditions_of(teacher.spec, data, recipe), sets, recipe.probe.task).found
    if found is None:
        return False, False
    same = found.conditions.architecture == teacher.spec.name
    return len(found.references) >= fewest_references(), same
