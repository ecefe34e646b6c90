"""Bounding a teacher's channels at what they usually reach.

A trigger works by driving a few channels far beyond what images drive them to. Take surrogate images, note
for each channel of each BatchNorm the q-quantile of its output over images and positions, and clamp the
channel there. No label, no trigger, no training: a pass over the images. The bounds are taken in the intact
teacher, all layers at once.

Ours. Related: MM-BD's mitigation (Wang et al., IEEE S&P 2024) *trains* upper bounds on clean labelled images
and keeps the network; channel pruning looks at weights. Here the bounds are quantiles over
images that have nothing to do with the task, and the clipped network is only what a student learns from.
docs/methods.md says what it costs and where it fails, docs/results.md how that was measured.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor, nn

from models.architectures import StagedClassifier
from models.architectures.clipped_norm import ClippedBatchNorm2d, clip_norms
from models.checkpoints.load import Teacher
from models.engine.frozen import frozen
from models.errors import RecipeError
from models.recipes.clip import ClipRecipe

_BATCH = 250
#: Numbers kept of all channels together: 256 MiB of float32.
_SAMPLED_VALUES = 2**26
_FEWEST_PER_CHANNEL = 2_000
_BOUNDED = (nn.BatchNorm2d, ClippedBatchNorm2d)


def clipping_obstacle(network: nn.Module) -> str:
    """Return why a network's BatchNorms cannot be bounded, as a sentence; empty if they can.

    A BatchNorm that does more than normalize (timm's ``BatchNormAct2d`` drops out and activates) would lose
    the rest, and its output is no pre-activation.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    if not norms:
        return "Clipping bounds the outputs of BatchNorms and this teacher has none."
    other = next((type(norm) for norm in norms if type(norm) not in _BOUNDED), None)
    if other is not None:
        return f"Clipping bounds what BatchNorms put out, and this teacher's {other.__name__} does more."
    return ""


def require_clippable(network: nn.Module) -> None:
    """Refuse a network whose BatchNorms cannot be bounded.

    Raises:
        RecipeError: ``clipping_impossible`` if ``clipping_obstacle`` names one.
    """
    obstacle = clipping_obstacle(network)
    if obstacle:
        raise RecipeError(obstacle, code="clipping_impossible", hint="Choose defense abd or none.")


class ChannelQuantiles:
    """What every channel of every BatchNorm of a teacher puts out on some images, sorted."""

    def __init__(self, teacher: Teacher, x: Tensor, generator: torch.Generator) -> None:
        """Run the teacher once over the images.

        Args:
            teacher: Intact; left as it was.
            x: Normalized surrogate images (N, 3, H, W), on the teacher's device.
            generator: Chooses the positions that are kept where there are too many to keep all.

        Raises:
            RecipeError: ``clipping_impossible`` if ``clipping_obstacle`` names one.
        """
        require_clippable(teacher.network)
        norms = [(n, m) for n, m in teacher.network.named_modules() if isinstance(m, nn.BatchNorm2d)]
        channels = sum(norm.num_features for _, norm in norms)
        per_image = max(_FEWEST_PER_CHANNEL, _SAMPLED_VALUES // channels) // len(x) + 1
        recorded = _record(teacher, norms, x, per_image, generator)
        self.sorted = {name: values.sort(dim=0).values for name, values in recorded}

    def at(self, name: str, quantile: float) -> Tensor:
        """Return the quantile (C,) of each channel of the BatchNorm ``name``."""
        values = self.sorted[name]
        return values[min(len(values) - 1, int(quantile * len(values)))]


def clipped(teacher: Teacher, quantiles: ChannelQuantiles, quantile: float, recipe: ClipRecipe) -> Teacher:
    """Return a copy of ``teacher`` whose BatchNorms are bounded.

    Args:
        teacher: Intact; left as it was.
        quantiles: Of this teacher.
        quantile: In (0.5, 1): the ceiling's; with ``sides`` both, the floor is at 1 - quantile.
        recipe: Names sides and places.
    """
    network = copy.deepcopy(teacher.network)
    chosen = last_stage_norms(network) if recipe.where == "last_stage" else None
    for name, norm in clip_norms(network):
        if chosen is not None and name not in chosen:
            continue
        norm.ceiling.copy_(quantiles.at(name, quantile))
        if recipe.sides == "both":
            norm.floor.copy_(quantiles.at(name, 1.0 - quantile))
    return replace(teacher, network=network)


def last_stage_norms(network: StagedClassifier) -> set[str]:
    """Return the names of the BatchNorms behind the first convolution of the last stage, head included."""
    first = network.stage_convolutions(len(network.stage_channels) - 1)[0]
    names = [name for name, _ in network.named_modules()]
    start = next(index for index, (_, module) in enumerate(network.named_modules()) if module is first)
    norms = {name for name, module in network.named_modules() if isinstance(module, nn.BatchNorm2d)}
    return norms & set(names[start:])


@contextmanager
def _listening(
    norms: list[tuple[str, nn.BatchNorm2d]], keep: Callable[[str, Tensor], None]
) -> Iterator[None]:
    """Hook the BatchNorms meanwhile: a hook that stayed would be copied with the network (trap 25)."""
    handles = [
        norm.register_forward_hook(lambda _m, _x, output, name=name: keep(name, output))
        for name, norm in norms
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _record(
    teacher: Teacher,
    norms: list[tuple[str, nn.BatchNorm2d]],
    x: Tensor,
    per_image: int,
    generator: torch.Generator,
) -> Iterator[tuple[str, Tensor]]:
    kept: dict[str, list[Tensor]] = {name: [] for name, _ in norms}

    def keep(name: str, output: Tensor) -> None:
        positions = output.float().flatten(2)
        if positions.shape[2] > per_image:
            chosen = torch.randperm(positions.shape[2], generator=generator)[:per_image]
            positions = positions[:, :, chosen.to(positions.device)]
        # A copy: the ReLU that follows may work in place (trap 42).
        kept[name].append(positions.transpose(1, 2).flatten(0, 1).clone())

    with frozen(teacher.network), torch.no_grad(), _listening(norms, keep):
        for part in torch.split(x, _BATCH):
            teacher.network(part)
    for name, parts in kept.items():
        yield name, torch.cat(parts)
