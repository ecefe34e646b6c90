"""Which teachers ``auto`` gives to the fast method."""

from __future__ import annotations

import torch

from models.architectures.cost import count_macs
from models.architectures.pixel_generator import SIDE_STEP
from models.checkpoints.load import Teacher
from models.data.patches import make_patches
from models.data.photographs import builtin_photographs
from models.distillation.inversion.batchnorm_statistics import BatchNormReader, statistics_obstacle

#: Of the images it was measured on (docs/results.md).
_SIDE = 32
#: A VGG-16 with BatchNorm for CIFAR has 313 million, a ResNet-18 555.
_MACS = 350_000_000
_PATCHES = 16
#: Beside a larger distance no other term of the loss is left in float32, and over a whole batch squares of
#: a still larger one are infinite: at a mean of 1.9e18 sixteen patches had a finite one, a round none.
_FARTHEST = 1e12


def fast_obstacle(teacher: Teacher) -> str:
    """Return why ``auto`` does not take the fast method, as a sentence; empty if it does.

    The method was measured on small images alone, and asks the teacher for gradients some hundred thousand
    times. The answer does not depend on the machine: a job that goes on elsewhere keeps its method.
    """
    side = teacher.spec.input_size
    if side > _SIDE:
        return (
            f"Making images by the teacher's statistics (method fast) was measured on up to {_SIDE} pixels a "
            f"side; this teacher takes {side}."
        )
    if side % SIDE_STEP:
        return (
            f"Making images by the teacher's statistics (method fast) draws sides that are multiples of "
            f"{SIDE_STEP} pixels; this teacher takes {side}."
        )
    missing = statistics_obstacle(teacher.network)
    if missing:
        return missing
    macs = count_macs(teacher.network, side)
    if macs > _MACS:
        return (
            f"This teacher takes {macs / 1e6:,.0f} million multiply-accumulates an image: making images by "
            "its statistics (method fast) would take a CPU hours. Ask for it where there is a GPU, or time."
        )
    if not _within_reach(teacher):
        return (
            "The statistics in this teacher's BatchNorms are so far from what they see that no image can be "
            "made by them."
        )
    return ""


def _within_reach(teacher: Teacher) -> bool:
    """Say whether images come near the statistics, which are whoever made the weights'."""
    patches = make_patches(builtin_photographs(), count=_PATCHES, size=teacher.spec.input_size, seed=0)
    reader = BatchNormReader(teacher.network)
    with torch.no_grad():
        x = teacher.pixel_classifier().normalize(patches.to(teacher.device).float() / 255)
        return bool(reader.distance(reader.read(x).moments) < _FARTHEST)  # false for what is no number
