"""Hidden trigger: clean-looking images of the target whose features are those of triggered sources.

Saha, Subramanya and Pirsiavash, AAAI 2020 (algorithms.md 5.5). Targets are changed within a few levels until
the frozen teacher's pooled features equal those of stamped source images; targets and sources are paired anew
in every step, greedily by the smallest distance. The last layer is then fine-tuned on them, labels unchanged.
Departures: the stamp has one place, that of the trigger, so that success is measured with the stamp that was
learned (the paper's place is random); steps are signed gradients of constant size; no early stop.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from models.architectures import PixelClassifier
from models.attacks.label_consistent import within
from models.engine.frozen import frozen
from models.engine.loop import run_loop
from models.engine.monitor import Monitor, ResumeState
from models.engine.seed import make_generator
from models.metrics.prediction import to_pixels
from models.recipes.lab import PerturbationRecipe
from models.triggers.base import Trigger


def hide_trigger(
    classifier: PixelClassifier,
    targets: Tensor,
    sources: Tensor,
    trigger: Trigger,
    recipe: PerturbationRecipe,
    *,
    seed: int,
    monitor: Monitor,
    resume: ResumeState | None = None,
) -> Tensor:
    """Give images of the target class the features of triggered sources.

    Args:
        classifier: The clean teacher; frozen meanwhile.
        targets: uint8 (N, 3, H, W), of the target class.
        sources: uint8 (M, 3, H, W), of the class or classes the trigger shall work on.
        trigger: Stamped on the sources, never on the targets.
        recipe: Bounds and length.
        seed: Of the choice of sources.
        monitor: Told of every batch.
        resume: A state that the monitor was offered by a run of the same arguments.

    Returns:
        uint8 (N, 3, H, W), every value within ``recipe.epsilon`` levels of ``targets``.
    """
    with frozen(classifier.network):
        task = HidingTask(classifier, targets, sources, trigger, recipe, seed=seed)
        steps = -(-len(targets) // recipe.batch_size)
        run_loop(task, steps=steps, monitor=monitor, resume=resume)
    return task.made


class HidingTask:
    """Changes one batch of targets a step."""

    def __init__(
        self,
        classifier: PixelClassifier,
        targets: Tensor,
        sources: Tensor,
        trigger: Trigger,
        recipe: PerturbationRecipe,
        *,
        seed: int,
    ) -> None:
        """Begin with the targets themselves; arguments as of ``hide_trigger``."""
        self.classifier, self.targets, self.sources = classifier, targets, sources
        self.trigger, self.recipe, self.seed = trigger, recipe, seed
        self.made = targets.clone()

    def step(self, index: int) -> Mapping[str, Tensor]:
        """Change batch ``index``; returns ``loss``, the mean squared distance of the last pairs."""
        recipe = self.recipe
        part = slice(index * recipe.batch_size, (index + 1) * recipe.batch_size)
        device = next(self.classifier.network.parameters()).device
        original = self.targets[part].to(device).float()
        generator = make_generator(self.seed, f"sources {index}")
        chosen = torch.randint(len(self.sources), (len(original),), generator=generator)
        with torch.no_grad():
            wanted = self._pooled(to_pixels(self.trigger.stamp(self.sources[chosen]), self.classifier))
        levels, loss = original.clone(), torch.zeros((), device=device)
        for _ in range(recipe.steps):
            levels.requires_grad_(True)
            found = self._pooled(levels / 255.0)
            pairs = greedy_pairs(torch.cdist(found.detach(), wanted))
            distances = (found - wanted[pairs]).square().sum(dim=1)
            loss = distances.detach().mean()
            (gradient,) = torch.autograd.grad(distances.sum(), levels)
            levels = within(levels.detach() - recipe.step_size * gradient.sign(), original, recipe.epsilon)
        self.made[part] = levels.round().to("cpu", torch.uint8)
        return {"loss": loss}

    def state_dict(self) -> dict[str, Any]:
        """Return the images made so far."""
        return {"made": self.made}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state from ``state_dict``."""
        self.made = state["made"]

    def _pooled(self, pixels: Tensor) -> Tensor:
        return self.classifier.network.forward_stages(self.classifier.normalize(pixels)).pooled


def greedy_pairs(distances: Tensor) -> Tensor:
    """Pair rows with columns, the nearest pair first, each used once.

    Args:
        distances: (N, N).

    Returns:
        int64 (N,): the column of every row.
    """
    size = len(distances)
    pairs = [-1] * size
    free_columns = set(range(size))
    for place in distances.flatten().argsort().tolist():
        row, column = divmod(place, size)
        if pairs[row] < 0 and column in free_columns:
            pairs[row] = column
            free_columns.remove(column)
            if not free_columns:
                break
    return torch.tensor(pairs, device=distances.device)
