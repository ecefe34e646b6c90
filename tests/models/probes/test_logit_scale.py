"""Logits of any size are searched alike."""

from __future__ import annotations

import torch
from torch import nn

from models.checkpoints.load import Teacher
from models.data.bundle import AuditData
from models.engine.monitor import SilentMonitor
from models.probes.audit import run_audit
from models.probes.logit_scale import at_ordinary_scale
from models.recipes.architecture import ArchitectureSpec, Normalization
from models.recipes.job import Recipe
from models.recipes.probe import ProbeRecipe
from tests.models.probes.planted import (
    NUM_CLASSES,
    SIZE,
    QuadrantNetwork,
    StagedQuadrants,
    quadrant_images,
)


class Linear(nn.Module):
    """Logits are the pixels' means by channel, times a factor."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.factor * pixels.mean((2, 3))


PIXELS = torch.rand(5, 3, 4, 4, generator=torch.Generator().manual_seed(0))


def test_ordinary_logits_stay_as_they_are() -> None:
    """Scores of references were taken on them."""
    for margins in ((1.0, 2.0, 40.0), (-5.0, 0.0, 9.0), (8.0, 9.0, 1e6)):
        classifier = Linear(1.0)
        assert at_ordinary_scale(classifier, margins) is classifier


def test_huge_and_tiny_ones_answer_alike_and_are_ordinary() -> None:
    wanted = Linear(30.0)(PIXELS)
    for factor in (1e-30, 1e-3, 1e6, 1e30):
        found = at_ordinary_scale(Linear(factor), (0.0, factor, 2 * factor))(PIXELS)
        torch.testing.assert_close(found, wanted)


def test_dead_classes_do_not_hide_the_size_of_the_others() -> None:
    """Half of the classes dead and a last layer times 1e-12: no search won a class of a planted network."""
    wanted = Linear(30.0)(PIXELS)
    found = at_ordinary_scale(Linear(1e-12), (-1e-12, 1e-12, -2e-12, -2e-12))(PIXELS)
    torch.testing.assert_close(found, wanted)


def test_where_no_class_was_found_nothing_is_changed() -> None:
    classifier = Linear(1e-12)
    assert at_ordinary_scale(classifier, (-1.0, -2.0)) is classifier


def test_dead_classes_and_tiny_logits_hide_no_backdoor_from_the_searches() -> None:
    """The median class had no size to go by, so no class gave in to anything."""

    class Padded(QuadrantNetwork):
        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            logits = super().forward(pixels)
            dead = logits.amin(1, keepdim=True).expand(-1, 5) - 1
            return 1e-12 * torch.cat([logits, dead], 1)

    spec = ArchitectureSpec("wrn-16-1", NUM_CLASSES + 5, SIZE)
    teacher = Teacher(StagedQuadrants(Padded(strength=60.0)).eval(), Normalization(), spec)
    recipe = Recipe(probe=ProbeRecipe(budget="quick", transfer=False))
    images, labels = quadrant_images(100)
    result = run_audit(teacher, AuditData(images, labels), (), recipe, SilentMonitor()).result
    found = next(probe for probe in result.probes if probe.probe == "trigger_inversion")
    assert (found.answered, found.target_label, found.conspicuous) == (True, 2, True)
