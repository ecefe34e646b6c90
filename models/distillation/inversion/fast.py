"""Fast data-free distillation: each batch starts from a generator that knows what all batches share.

Where CMI moves a fresh generator for hundreds of steps, here a *meta generator* is kept. Each round moves a
copy of it and a batch of noise for a few steps only, and then moves the meta generator to where copies start
better. Its first layer, which maps noise to features, is drawn anew each round: that part belongs to a batch.
In the first rounds the student is not asked and does not learn, because the images are no images yet.

Source: Fang et al., "Up to 100x Faster Data-Free Knowledge Distillation", AAAI 2022, without a look at its
code. Choices where the text at hand is silent: the first-order gradient is the sum of the copy's gradients
over its steps, which Adam, being blind to scale, takes as their mean; Reptile's way ``theta - theta_k`` goes
through the same Adam; images are seen through CMI's shifted view; the average of the BatchNorm statistics
takes in each round once, at its last step. There is no contrastive term. A departure: the distance of
statistics is measured in units of the running variances (docs/results.md: where channels of large numbers
outweigh all others, the paper's leaves images that the teacher does not even take for their classes).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from models.architectures import StagedClassifier
from models.architectures.pixel_generator import PixelGenerator, initialize
from models.checkpoints.load import Teacher
from models.distillation.defense import Defense
from models.distillation.inversion.batchnorm_statistics import MomentsAverage
from models.distillation.inversion.best_batch import BestBatch
from models.distillation.inversion.objective import InversionObjective, InversionWeights
from models.distillation.inversion.task import crop_padding
from models.distillation.inversion.views import shifted_view
from models.engine.precision import autocast, to_channels_last
from models.engine.seed import derive_seed, make_generator, seeded
from models.recipes.fast import FastRecipe

_BETAS = (0.5, 0.999)


class _Round:
    """What lives for one round: a copy of the meta generator, and the batch it is moved for."""

    def __init__(self, meta: PixelGenerator, noise: Tensor, labels: Tensor, recipe: FastRecipe) -> None:
        self.generator = copy.deepcopy(meta)
        self.generator.zero_grad(set_to_none=True)
        self.noise = noise.requires_grad_(True)
        self.labels = labels
        groups: list[dict[str, Any]] = [
            {"params": list(self.generator.parameters())},
            {"params": [self.noise], "lr": recipe.noise_learning_rate},
        ]
        self.optimizer = torch.optim.Adam(groups, lr=recipe.generator_learning_rate, betas=_BETAS)
        self.best = BestBatch()
        self.done = 0


class FastSynthesizer:
    """Makes the images of each round; see ``models.distillation.inversion.task.Synthesizer``."""

    def __init__(self, teacher: Teacher, student: StagedClassifier, recipe: FastRecipe, *, seed: int) -> None:
        """Build the meta generator; arguments as of ``distill_by_inversion``."""
        self.recipe, self.seed = recipe, seed
        self.rounds, self.steps = recipe.rounds, recipe.synthesis_steps
        self.warmup_rounds = min(recipe.warmup_rounds, recipe.rounds // 2)
        self.spec, self.device = teacher.spec, teacher.device
        self.normalize = teacher.pixel_classifier().normalize
        self.average = MomentsAverage(recipe.statistics_momentum)
        weights = InversionWeights.of(recipe)
        self.objective = InversionObjective(teacher.network, student, weights, self.average)
        self.padding = crop_padding(recipe.learning, teacher.spec.input_size)
        self.flip = recipe.learning.horizontal_flip
        with seeded(derive_seed(seed, "meta generator")):
            meta = PixelGenerator(self.spec.input_size, recipe.noise_size, recipe.generator_width)
        self.meta = meta.to(self.device).train()
        to_channels_last(self.meta)
        self.meta_optimizer = torch.optim.Adam(
            self.meta.parameters(), lr=recipe.meta_learning_rate, betas=_BETAS
        )
        self.now: _Round | None = None

    def begin(self, index: int) -> None:
        """Copy the meta generator, and draw noise, labels and perhaps the first layer."""
        recipe = self.recipe
        if recipe.renew_first_layer:
            with seeded(derive_seed(self.seed, f"first layer {index}")):
                first = torch.nn.Linear(self.meta.expand.in_features, self.meta.expand.out_features)
                initialize(first)
            self.meta.expand.load_state_dict(first.state_dict())
        self.meta_optimizer.zero_grad(set_to_none=True)
        stream = make_generator(self.seed, f"inversion {index}")
        noise = torch.randn(recipe.synthesis_batch, recipe.noise_size, generator=stream)
        labels = torch.randint(self.spec.num_classes, (recipe.synthesis_batch,), generator=stream)
        labels = labels.sort().values.to(self.device)
        self.now = _Round(self.meta, noise.to(self.device), labels, recipe)

    def step(
        self, index: int, defense: Defense, *, adversarial: bool
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Move the copy and the noise once; after the last step, move the meta generator."""
        now = self._running()
        stream = make_generator(self.seed, f"views {index}")
        with autocast(self.device, self.objective.fast):
            pixels = now.generator(now.noise)
        pixels = pixels.float()
        x = self.normalize(shifted_view(pixels, padding=self.padding, flip=self.flip, generator=stream))
        inverted = self.objective(x, now.labels, defense, adversarial=adversarial)
        now.best.offer(inverted.loss, pixels)
        now.optimizer.zero_grad()
        inverted.loss.backward()  # type: ignore[no-untyped-call]
        self._collect(now)
        now.optimizer.step()
        now.done += 1
        if now.done == self.steps:
            self._move_meta(now)
            self.average.keep(inverted.reading.moments)
        told = {**inverted.parts, "inversion_loss": inverted.loss}
        return x, inverted.reading.logits, {name: value.detach() for name, value in told.items()}

    @torch.no_grad()
    def _collect(self, now: _Round) -> None:
        """Add the copy's gradients to the meta generator's."""
        if self.recipe.meta_gradient == "first_order":
            for parameter, moved in zip(self.meta.parameters(), now.generator.parameters(), strict=True):
                assert moved.grad is not None, "every layer of a generator is used"  # noqa: S101
                parameter.grad = moved.grad.clone() if parameter.grad is None else parameter.grad + moved.grad

    @torch.no_grad()
    def _move_meta(self, now: _Round) -> None:
        if self.recipe.meta_gradient == "reptile":
            for parameter, moved in zip(self.meta.parameters(), now.generator.parameters(), strict=True):
                parameter.grad = parameter - moved
        self.meta_optimizer.step()

    def end(self) -> Tensor:
        """Return the best images."""
        images = self._running().best.taken()
        self.now = None
        return images

    def state_dict(self) -> dict[str, Any]:
        """Return the meta generator, the statistics, and the round if one is going on."""
        now = self.now
        return {
            "meta": self.meta.state_dict(),
            "meta_optimizer": self.meta_optimizer.state_dict(),
            "meta_gradients": [parameter.grad for parameter in self.meta.parameters()],
            "average": self.average.state_dict(),
            "now": None
            if now is None
            else {
                "generator": now.generator.state_dict(),
                "noise": now.noise,
                "labels": now.labels,
                "optimizer": now.optimizer.state_dict(),
                "best": now.best.state_dict(),
                "done": now.done,
            },
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state from ``state_dict``."""
        self.meta.load_state_dict(state["meta"])
        self.meta_optimizer.load_state_dict(state["meta_optimizer"])
        for parameter, gradient in zip(self.meta.parameters(), state["meta_gradients"], strict=True):
            parameter.grad = None if gradient is None else gradient.to(self.device)
        self.average.load_state_dict(state["average"], self.device)
        kept, self.now = state["now"], None
        if kept is not None:
            noise, labels = kept["noise"].to(self.device), kept["labels"].to(self.device)
            self.now = _Round(self.meta, noise, labels, self.recipe)
            self.now.generator.load_state_dict(kept["generator"])
            self.now.optimizer.load_state_dict(kept["optimizer"])
            self.now.best.load_state_dict(kept["best"], self.device)
            self.now.done = kept["done"]

    def _running(self) -> _Round:
        if self.now is None:
            raise RuntimeError("A round has to begin first.")
        return self.now
