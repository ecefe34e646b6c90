"""Augmented batches of labelled images as a pure function of the step, the same after a resume."""

from __future__ import annotations

import torch
from torch import Tensor

from models.architectures import PixelClassifier
from models.data.augment import random_crop, random_flip
from models.engine.seed import make_generator
from models.errors import RecipeError
from models.metrics.prediction import to_pixels

_FEWEST_IMAGES = 10


def check_classes(labels: Tensor, classes: int) -> None:
    """Refuse labels of other classes than a network's.

    Args:
        labels: int64 (N,).
        classes: How many the network has.

    Raises:
        RecipeError: ``labels_mismatch``.
    """
    if len(labels) and int(labels.max()) >= classes:
        raise RecipeError(
            f"The images have labels up to {int(labels.max())}, the network has {classes} classes.",
            code="labels_mismatch",
            hint="Give images of the network's own classes, in the same order.",
        )


class LabelledBatches:
    """Shuffles anew for each pass, crops and mirrors bytes, normalizes as the teacher was trained."""

    def __init__(
        self,
        teacher: PixelClassifier,
        images: Tensor,
        labels: Tensor,
        *,
        batch_size: int,
        crop_padding: int,
        horizontal_flip: bool,
        seed: int,
    ) -> None:
        """Check the images and plan the passes.

        Args:
            teacher: Its normalization and device are used; not run here.
            images: uint8 (N, 3, H, W).
            labels: int64 (N,).
            batch_size: Images per batch, at most N. What is left over at the end of a pass is left out.
            crop_padding: Largest shift at side 32 in pixels; scaled with the side.
            horizontal_flip: Whether to mirror half of the images.
            seed: Of order and augmentation.

        Raises:
            RecipeError: ``too_few_images`` or ``labels_mismatch``.
        """
        if len(images) < _FEWEST_IMAGES:
            raise RecipeError(
                f"{len(images)} labelled images are left for training.",
                code="too_few_images",
                hint=f"Give at least {_FEWEST_IMAGES}, better 100 per class, or choose a data-free method.",
            )
        if len(labels) != len(images):
            raise RecipeError(
                f"There are {len(labels)} labels for {len(images)} images.",
                code="labels_mismatch",
                hint="Give one label per image.",
            )
        self.teacher = teacher
        self.images = images
        self.labels = labels
        self.batch_size = min(batch_size, len(images))
        self.padding = round(crop_padding * images.shape[-1] / 32)
        self.horizontal_flip = horizontal_flip
        self.seed = seed

    def steps(self, *, epochs: int, max_images: int) -> int:
        """Return how many steps ``epochs`` passes take, shortened to ``max_images`` images."""
        passes = epochs * (len(self.images) // self.batch_size)
        return max(1, min(passes, max_images // self.batch_size))

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        """Return the batch of one step.

        Args:
            step: From 0.

        Returns:
            images, normalized (B, 3, H, W), channels-last, on the teacher's device; labels int64 (B,).
        """
        each = len(self.images) // self.batch_size
        order = torch.randperm(
            len(self.images), generator=make_generator(self.seed, f"order of pass {step // each}")
        )
        start = (step % each) * self.batch_size
        chosen = order[start : start + self.batch_size]
        generator = make_generator(self.seed, f"augmentation of step {step}")
        batch = random_crop(self.images[chosen], padding=self.padding, generator=generator, mode="reflect")
        if self.horizontal_flip:
            batch = random_flip(batch, generator=generator)
        x = self.teacher.normalize(to_pixels(batch, self.teacher))
        return x.contiguous(memory_format=torch.channels_last), self.labels[chosen].to(x.device)
