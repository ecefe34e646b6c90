"""Contrastive model inversion: a fresh generator per batch, and no image like another.

Per round: a generator with new weights and a batch of trainable noise are moved together until the teacher's
BatchNorms see what they saw in training, its answers are those that were asked for, the student disagrees,
and each image can be told from all others. The best step's images join the pool, from which the student then
learns. Source: Fang et al., IJCAI 2021; constants after algorithms.md 2.2.

Departures: fewer and smaller rounds (the recipe has the paper's numbers); black borders of the shifted view
are those of the pixels, as in training; the memory bank lives where the teacher does, not on the CPU; the
global side of the contrast is computed without a graph, which is what detaching it amounts to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from models.architectures import StagedClassifier
from models.architectures.pixel_generator import PixelGenerator
from models.checkpoints.load import Teacher
from models.distillation.defense import Defense
from models.distillation.inversion.batchnorm_statistics import BatchNormReader
from models.distillation.inversion.best_batch import BestBatch
from models.distillation.inversion.contrast import MemoryBank, ProjectionHead, contrastive_loss
from models.distillation.inversion.objective import InversionObjective, InversionWeights
from models.distillation.inversion.task import crop_padding
from models.distillation.inversion.views import resized_view, shifted_view
from models.engine.precision import autocast, to_channels_last
from models.engine.seed import derive_seed, make_generator, seeded
from models.recipes.cmi import CmiRecipe

_BETAS = (0.5, 0.999)


class _Round:
    """What lives for one round."""

    def __init__(self, generator: PixelGenerator, noise: Tensor, labels: Tensor, rate: float) -> None:
        self.generator = generator.train()
        self.noise = noise.requires_grad_(True)
        self.labels = labels
        self.optimizer = torch.optim.Adam([*generator.parameters(), self.noise], lr=rate, betas=_BETAS)
        self.best = BestBatch()


class CmiSynthesizer:
    """Makes the images of each round; see ``models.distillation.inversion.task.Synthesizer``."""

    warmup_rounds = 0

    def __init__(self, teacher: Teacher, student: StagedClassifier, recipe: CmiRecipe, *, seed: int) -> None:
        """Prepare; arguments as of ``distill_by_inversion``."""
        self.recipe, self.seed = recipe, seed
        self.rounds, self.steps = recipe.rounds, recipe.synthesis_steps
        self.spec, self.device = teacher.spec, teacher.device
        self.normalize = teacher.pixel_classifier().normalize
        self.objective = InversionObjective(teacher.network, student, InversionWeights.of(recipe))
        self.padding = crop_padding(recipe.learning, teacher.spec.input_size)
        self.flip = recipe.learning.horizontal_flip
        self.contrasts = recipe.contrast_weight > 0.0
        self.bank = MemoryBank(recipe.bank_size)
        features = _feature_count(teacher, self.objective.reader) if self.contrasts else 1  # asked of nothing
        with seeded(derive_seed(seed, "projection")):
            head = ProjectionHead(features, recipe.projection_size)
        self.head = head.to(self.device)
        self.head_optimizer = torch.optim.Adam(self.head.parameters(), lr=recipe.projection_learning_rate)
        self.now: _Round | None = None

    def begin(self, index: int) -> None:
        """Draw a generator, noise and labels."""
        recipe = self.recipe
        stream = make_generator(self.seed, f"inversion {index}")
        noise = torch.randn(recipe.synthesis_batch, recipe.noise_size, generator=stream)
        labels = torch.randint(self.spec.num_classes, (recipe.synthesis_batch,), generator=stream)
        with seeded(derive_seed(self.seed, f"inversion generator {index}")):
            generator = self._generator()
        labels = labels.sort().values.to(self.device)
        self.now = _Round(generator, noise.to(self.device), labels, recipe.generator_learning_rate)

    def step(
        self, index: int, defense: Defense, *, adversarial: bool
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Move generator, noise and projection once."""
        now = self._running()
        stream = make_generator(self.seed, f"views {index}")
        with autocast(self.device, self.objective.fast):
            pixels = now.generator(now.noise)
        pixels = pixels.float()
        view = shifted_view(pixels, padding=self.padding, flip=self.flip, generator=stream)
        x = self.normalize(view)
        inverted = self.objective(x, now.labels, defense, adversarial=adversarial)
        loss, told = inverted.loss, inverted.parts
        features: tuple[Tensor, ...] = ()
        if self.contrasts:
            local = self.normalize(resized_view(pixels, flip=self.flip, generator=stream))
            features = (self.objective.read(local).features, inverted.reading.features.detach())
            remembered = self.bank.sample(self.recipe.negatives, generator=stream)
            contrast = contrastive_loss(self.head, *features, remembered, self.recipe.contrast_temperature)
            loss = loss + self.recipe.contrast_weight * contrast
            told = {**told, "contrastive_loss": contrast}
        now.best.offer(loss, pixels, *features)
        self._move(now, loss)
        told = {**told, "inversion_loss": loss}
        return x, inverted.reading.logits, {name: value.detach() for name, value in told.items()}

    def _move(self, now: _Round, loss: Tensor) -> None:
        now.optimizer.zero_grad()
        self.head_optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        now.optimizer.step()
        self.head_optimizer.step()

    def end(self) -> Tensor:
        """Put the best images' features into the bank, and return the images."""
        best = self._running().best
        images = best.taken()
        if best.features:
            self.bank.add(*best.features)
        self.now = None
        return images

    def state_dict(self) -> dict[str, Any]:
        """Return projection, bank, and the round if one is going on."""
        now = self.now
        return {
            "head": self.head.state_dict(),
            "head_optimizer": self.head_optimizer.state_dict(),
            "bank": self.bank.state_dict(),
            "now": None
            if now is None
            else {
                "generator": now.generator.state_dict(),
                "noise": now.noise,
                "labels": now.labels,
                "optimizer": now.optimizer.state_dict(),
                "best": now.best.state_dict(),
            },
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state from ``state_dict``."""
        self.head.load_state_dict(state["head"])
        self.head_optimizer.load_state_dict(state["head_optimizer"])
        self.bank.load_state_dict(state["bank"], self.device)
        kept, self.now = state["now"], None
        if kept is not None:
            noise, labels = kept["noise"].to(self.device), kept["labels"].to(self.device)
            with torch.random.fork_rng(devices=[]):
                generator = self._generator()
            self.now = _Round(generator, noise, labels, self.recipe.generator_learning_rate)
            self.now.generator.load_state_dict(kept["generator"])
            self.now.optimizer.load_state_dict(kept["optimizer"])
            self.now.best.load_state_dict(kept["best"], self.device)

    def _generator(self) -> PixelGenerator:
        generator = PixelGenerator(self.spec.input_size, self.recipe.noise_size, self.recipe.generator_width)
        generator = generator.to(self.device)
        to_channels_last(generator)
        return generator

    def _running(self) -> _Round:
        if self.now is None:
            raise RuntimeError("A round has to begin first.")
        return self.now


@torch.no_grad()
def _feature_count(teacher: Teacher, reader: BatchNormReader) -> int:
    side = teacher.spec.input_size
    return reader.read(torch.zeros(1, 3, side, side, device=teacher.device)).features.shape[1]
