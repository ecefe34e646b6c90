"""How much work each budget allows."""

from __future__ import annotations

from dataclasses import dataclass

from models.recipes.probe import Budget


@dataclass(frozen=True)
class Effort:
    """Sizes of every search. Times below: one core, a VGG of 0.3 M parameters, 32x32, 10 classes."""

    margin_restarts: int
    margin_steps: int
    surrogate_images: int
    """Patches cut when there are no clean images; half is searched on, half measured on."""
    scanned_classes: int
    """At most this many classes are compared by inversion."""
    patch_steps: int
    """Of the comparison. After 60 steps one seed in four does not yet put the class of a known 4x4 patch
    first; after 100 all four do, and one start of 100 does better than two of 60."""
    perturbation_steps: int
    """Of the comparison; 0 makes a perturbation for the suspected class only."""
    scan_batch: int
    """Images per class and step."""
    refine_steps: int
    refine_batch: int
    transfer_images: int
    """Images the throw-away student sees at most."""
    noises: int
    """Of local dominance, per image; the paper draws 1,024."""
    shuffles: int
    """Shuffled copies that are asked."""
    described_images: int
    """Of shuffle sensitivity and feature variance."""


EFFORTS: dict[Budget, Effort] = {
    # About 15 s without transfer, 30 s of transfer.
    "quick": Effort(4, 40, 600, 10, 60, 0, 8, 30, 32, 8_000, 64, 4, 200),
    # About 40 s without transfer, of which 4 s for the probes without a mark; 160 s of transfer.
    "standard": Effort(10, 100, 1_000, 16, 100, 60, 8, 60, 48, 40_000, 100, 6, 250),
    # Minutes. All classes are compared, so time grows with them: one of 200 steps of the comparison by patch
    # took a ResNet-20 with 1,000 classes 4 minutes of a busy core; an audit would take more than a day.
    "thorough": Effort(30, 300, 2_000, 1_000, 200, 150, 16, 150, 64, 60_000, 1_024, 16, 2_000),
}
