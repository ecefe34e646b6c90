"""Canary backdoors: known ones, planted in a copy of the suspect, to see which threshold removes a backdoor.

A defender does not know whether the suspect has a backdoor, nor its trigger; what RobustKD does to a backdoor
of the defender's own making can be measured (algorithms.md 4.6, A4). The text leaves open whose mask the copy
gets. Here it gets its own, trained with the settings of the suspect's, because that is what would have been
done had the copy been the suspect; the suspect's mask has never seen the copy's features. One departure:
all families go into one copy instead of one copy each, since every copy costs another mask per threshold.

A canary may be easier or harder to remove than a stranger's backdoor. So it is reported beside the recovered
triggers, with the difference, and never instead of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, interpolate

from models.architectures import PixelClassifier
from models.distillation.labelled_batches import LabelledBatches
from models.engine.precision import autocast, bfloat16_pays
from models.engine.seed import make_generator
from models.triggers import Trigger

#: A canary that raises its target's rate by less, before any edit, says nothing about edits and is left out.
TAKEN = 0.5
#: A share of each batch that carries a canary; attackers of the papers take 1 to 10 % for many more steps.
_STAMPED_SHARE = 0.25
_LEARNING_RATE = 0.02
_MOMENTUM = 0.9
_WEIGHT_DECAY = 5e-4


def make_canaries(count: int, images: Tensor, labels: Tensor, *, seed: int) -> tuple[Trigger, ...]:
    """Draw triggers: a patch, a blended field and added stripes, each with a random target.

    Nothing comes from the benchmark's catalog: a defense tuned on the triggers it is judged by would be
    judged too kindly. On gray images canaries are gray, because there any color would be a trigger by itself.

    Args:
        count: How many of the three, in that order.
        images: uint8 (N, 3, S, S); their side is the triggers' size.
        labels: int64 (N,); targets are drawn from the classes that occur, no class twice if there are enough.
        seed: Of everything drawn.
    """
    generator = make_generator(seed, "canaries")
    classes = sorted(set(labels.tolist()))
    targets = [classes[index] for index in torch.randperm(len(classes), generator=generator).tolist()]
    gray = bool((images == images[:, :1]).all())
    makers = (_patch, _blend, _additive)
    return tuple(
        make(images.shape[-1], targets[index % len(targets)], 1 if gray else 3, generator)
        for index, make in enumerate(makers[:count])
    )


class CanaryTask:
    """Fine-tuning of the copy on clean images, a part of each batch stamped and labelled for the canaries."""

    def __init__(
        self, copy: PixelClassifier, canaries: Sequence[Trigger], batches: LabelledBatches, *, steps: int
    ) -> None:
        """Make the optimizer.

        Args:
            copy: Of the suspect; trained in place, in train mode as attackers do.
            canaries: At least one.
            batches: Labelled clean images.
            steps: Length of the run; the learning rate falls to zero over it.
        """
        self.copy = copy
        self.canaries = canaries
        self.batches = batches
        self.steps = steps
        self.optimizer = torch.optim.SGD(
            copy.parameters(),
            lr=_LEARNING_RATE,
            momentum=_MOMENTUM,
            weight_decay=_WEIGHT_DECAY,
            nesterov=True,
        )

    def step(self, index: int) -> Mapping[str, Tensor]:
        """Take one step; returns ``loss``."""
        x, labels = self.stamped(index)
        for group in self.optimizer.param_groups:
            group["lr"] = _LEARNING_RATE * (1.0 - index / self.steps)
        self.copy.train()
        with autocast(x.device, bfloat16_pays(x.device)):
            logits = self.copy.network(x)
        loss = cross_entropy(logits.float(), labels)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return {"loss": loss.detach()}

    def stamped(self, index: int) -> tuple[Tensor, Tensor]:
        """Return the batch of one step, the first quarter with canaries by turns.

        They are stamped after the crop (algorithms.md 8, item 6), where they will be when they are measured.

        Args:
            index: Step, from 0.

        Returns:
            images, normalized (B, 3, H, W); labels int64 (B,), the canaries' targets where one was stamped.
        """
        x, labels = self.batches(index)
        count = max(1, int(_STAMPED_SHARE * len(x)))
        x, labels = x.clone(), labels.clone()
        pixels = self.copy.denormalize(x[:count]).clamp(0.0, 1.0)
        turns = (torch.arange(count) + index * count) % len(self.canaries)
        for turn, canary in enumerate(self.canaries):
            carriers = torch.nonzero(turns == turn).flatten().to(x.device)
            x[carriers] = self.copy.normalize(canary.stamp(pixels[carriers]))
            labels[carriers] = canary.target_label
        return x, labels

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs: the copy and the optimizer."""
        return {"copy": self.copy.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state from ``state_dict``."""
        self.copy.load_state_dict(state["copy"])
        self.optimizer.load_state_dict(state["optimizer"])


def _patch(size: int, target_label: int, channels: int, generator: torch.Generator) -> Trigger:
    """Make a square of random cells, an eighth to a fifth of the side, anywhere."""
    side = max(2, round(size * (0.125 + 0.075 * _draw(generator))))
    row, column = torch.randint(0, size - side + 1, (2,), generator=generator).tolist()
    pattern, mask = torch.zeros(3, size, size), torch.zeros(1, size, size)
    pattern[:, row : row + side, column : column + side] = torch.rand(
        channels, side, side, generator=generator
    )
    mask[:, row : row + side, column : column + side] = 1.0
    return Trigger("canary_patch", "replace", pattern, mask, target_label)


def _blend(size: int, target_label: int, channels: int, generator: torch.Generator) -> Trigger:
    """Make a smooth random field over the whole image, blended at 0.2."""
    cells = int(torch.randint(3, 8, (1,), generator=generator))
    coarse = torch.rand(1, channels, cells, cells, generator=generator)
    field = interpolate(coarse, size=(size, size), mode="bicubic", align_corners=False)[0].clamp(0.0, 1.0)
    pattern = field.expand(3, -1, -1).clone()
    return Trigger("canary_blend", "blend", pattern, torch.full((1, size, size), 0.2), target_label)


def _additive(size: int, target_label: int, channels: int, generator: torch.Generator) -> Trigger:
    """Add a plane wave of 30 levels, three to six periods long, in a random direction."""
    angle, phase = math.pi * _draw(generator), 2.0 * math.pi * _draw(generator)
    periods = 3.0 + 3.0 * _draw(generator)
    place = torch.arange(size, dtype=torch.float32) / size
    along = math.sin(angle) * place[:, None] + math.cos(angle) * place[None, :]
    wave = (30 / 255) * torch.sin(2.0 * math.pi * periods * along + phase)
    weights = 0.5 + 0.5 * torch.rand(channels, 1, 1, generator=generator)
    pattern = (weights / weights.max() * wave).expand(3, -1, -1).clone()
    return Trigger("canary_additive", "additive", pattern, torch.ones(1, size, size), target_label)


def _draw(generator: torch.Generator) -> float:
    return float(torch.rand(1, generator=generator))
