"""Distillation on out-of-distribution patches cut from a few photographs."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Interval

from models.recipes.base import recipe
from models.recipes.engine import Compile

PatchStyle = Literal["photo", "strokes"]
LearningRateSchedule = Literal["cosine", "steps", "constant"]


@recipe
class OodRecipe:
    """One-image distillation (Asano and Saeed, ICLR 2023) at a budget of minutes on two cores."""

    patches: Annotated[int, Interval(ge=64, le=1_000_000)] = 20_000
    """Patches cut from the photographs, once; the original cuts 50,000 and trains on each 300 times."""
    patch_style: PatchStyle = "photo"
    """``photo`` keeps the patches; ``strokes`` draws bright lines on black, for teachers of digits. So
    whatever the method for audits, a clipped teacher's bounds and measuring, where they take patches."""
    sharp_share: Annotated[float, Interval(ge=0.0, le=1.0)] = 0.0
    """Share of patches shrunk without smoothing. They keep fine detail, by which small triggers move: the
    transfer probe takes half of them, a student that is to be used none (docs/results.md)."""
    images: Annotated[int, Interval(ge=64, le=1_000_000_000)] = 100_000
    """Images the student sees in all, counting repetitions."""
    batch_size: Annotated[int, Interval(ge=2, le=4_096)] = 128
    """Images per step; ABD's code takes 512, too few steps for a budget of minutes."""
    learning_rate: Annotated[float, Interval(gt=0.0, le=1.0)] = 2e-3
    """Of Adam; ABD's code takes 1e-3 with batches of 512."""
    schedule: LearningRateSchedule = "cosine"
    """``steps`` halves the rate at 1/2 of the run, as ABD does; the original is ``constant``."""
    temperature: Annotated[float, Interval(gt=0.0, le=100.0)] = 8.0
    """Of both softmaxes; the loss is multiplied by its square."""
    crop_padding: Annotated[int, Interval(ge=0, le=32)] = 4
    """Zero pixels around a patch before the random crop, at side 32; scaled with the side."""
    horizontal_flip: bool = True
    """Mirror half of the patches."""
    cutmix: bool = True
    """Paste a box of another patch into every patch; the teacher labels the mixture."""
    compile: Compile = "never"
    """Compile the student's step with torch.compile: faster, after about a minute. ``auto`` does so in runs
    long enough to win that minute back; without a C++ compiler the step runs as it is."""
