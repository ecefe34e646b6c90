"""Under which conditions a network is scored."""

from __future__ import annotations

from dataclasses import asdict

from models.data.bundle import AuditData
from models.probes.calibration.reference_set import Conditions, ImageTier
from models.probes.effort import EFFORTS
from models.probes.probe_images import count_compared, enough_clean_images
from models.recipes.architecture import ArchitectureSpec
from models.recipes.job import Recipe
from models.recipes.probe import Surrogates

#: Raise it when a probe's score changes its meaning or its distribution: scores taken before no longer count.
SCORING_VERSION = 3


def conditions_of(spec: ArchitectureSpec, data: AuditData, recipe: Recipe) -> Conditions:
    """Say under which conditions ``run_scored_probes`` scores a network.

    Args:
        spec: Of the network.
        data: What the probes are given.
        recipe: Budget and patch style count.
    """
    clean, effort = enough_clean_images(data), EFFORTS[recipe.probe.budget]
    surrogates = recipe.probe.surrogates
    return Conditions(
        architecture=spec.name,
        num_classes=spec.num_classes,
        input_size=spec.input_size,
        images="clean images" if clean else _surrogate_tier(data, surrogates),
        searched=count_compared(data, patches=effort.surrogate_images, surrogates=surrogates),
        patch_style=None if clean else recipe.ood.patch_style,
        budget=recipe.probe.budget,
        effort=asdict(effort),
        scoring_version=SCORING_VERSION,
    )


def _surrogate_tier(data: AuditData, surrogates: Surrogates) -> ImageTier:
    if surrogates == "inverted":
        return "inverted images"
    return "patches of given photographs" if data.photographs else "patches"
