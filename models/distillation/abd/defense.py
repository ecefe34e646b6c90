"""ABD as a defense: the vaccine all along, retrospection when it is switched on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from models.architectures import StagedClassifier
from models.distillation.abd.image_pool import ImagePool
from models.distillation.abd.self_retrospection import SelfRetrospection
from models.distillation.abd.shuffling_vaccine import ShuffledEnsemble, ShufflingVaccine
from models.distillation.abd.vaccine_selection import select_shuffle
from models.engine.seed import make_generator
from models.recipes.abd import AbdRecipe
from models.results.training import Decision


class AbdDefense:
    """Answers a data-free method's questions; see ``models.distillation.defense.Defense``."""

    def __init__(
        self,
        teacher: StagedClassifier,
        student: StagedClassifier,
        recipe: AbdRecipe,
        *,
        seed: int,
        steps: int,
    ) -> None:
        """Shuffle copies of the teacher.

        Args:
            teacher: Frozen, without hooks.
            student: The one that learns.
            recipe: Both halves' settings.
            seed: Of shuffles and perturbations.
            steps: Length of the main run; the shuffle is chosen within its first quarter.
        """
        self.teacher, self.recipe, self.seed = teacher, recipe, seed
        vaccine = recipe.vaccine
        self.ensemble = ShuffledEnsemble(teacher, vaccine.members, vaccine.layers)
        self.ensemble.shuffle(make_generator(seed, "shuffle 0"))
        # Copies in which nothing is shuffled agree with the teacher on every image.
        weight = 0.0 if vaccine.layers == 0 else vaccine.weight
        self.decide_at = min(vaccine.selection_batches, steps // 4) if weight > 0.0 else 0
        # While the decision is open lambda is 0 (algorithms.md 1.3).
        self.vaccine = ShufflingVaccine(self.ensemble, vaccine, 0.0 if self.decide_at else weight)
        self.retrospection = SelfRetrospection(teacher, student, recipe.retrospection, seed=seed)
        self.retrospecting = False
        self.skip = min(vaccine.selection_skip, self.decide_at // 2)
        self.pool = self._new_pool()
        self.decisions: list[Decision] = []

    @property
    def vaccinated(self) -> bool:
        """Whether a shuffle is in use."""
        return self.vaccine.weight > 0.0

    def observe(self, index: int, x: Tensor, teacher_logits: Tensor) -> None:
        """Collect images, and choose a shuffle when there are enough.

        Raises:
            RecipeError: At the first images, if retrospection may run and the student cannot take part in it.
        """
        del teacher_logits
        if index == 0 and self.recipe.retrospection.run != "never":
            self.retrospection.check(x)
        if index >= self.decide_at:
            return
        if index >= self.skip:
            self.pool.add(x)
        if index == self.decide_at - 1:
            pool = self.pool.images()
            self.pool = self._new_pool()
            selection = select_shuffle(
                self.ensemble, self.teacher, pool, self.recipe.vaccine, seed=self.seed, step=index + 1
            )
            self.vaccine.weight = selection.weight
            self.decisions.append(selection.decision)

    def generator_term(self, x: Tensor, teacher_logits: Tensor, stages: Sequence[Tensor] = ()) -> Tensor:
        """Return the vaccine's regularizer."""
        return self.vaccine.generator_term(x, teacher_logits, stages)

    def student_loss(
        self, x: Tensor, teacher_logits: Tensor, losses: Tensor, stages: Sequence[Tensor] = ()
    ) -> Tensor:
        """Return the vaccine's split loss."""
        return self.vaccine.student_loss(x, teacher_logits, losses, stages)

    def add_gradients(self, x: Tensor, scale: float) -> None:
        """Add its gradient while retrospection is on."""
        if self.retrospecting:
            self.retrospection.add_gradients(x, scale)

    def scalars(self) -> dict[str, Tensor]:
        """Tell lambda, the share of suspicious images, and how retrospection goes."""
        told = {
            "vaccine_weight": torch.tensor(self.vaccine.weight),
            "suspicious": self.vaccine.masked_share,
        }
        return {**told, **self.retrospection.last} if self.retrospecting else told

    def state_dict(self) -> dict[str, Any]:
        """Return shuffled copies, lambda, pool, perturbations and decisions."""
        return {
            "ensemble": self.ensemble.state_dict(),
            "weight": self.vaccine.weight,
            "pool": self.pool.state_dict(),
            "retrospection": self.retrospection.state_dict(),
            "retrospecting": self.retrospecting,
            "suspicious": self.vaccine.masked_share,
            "decisions": [[d.step, d.name, d.text, d.values] for d in self.decisions],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state from ``state_dict``."""
        self.ensemble.load_state_dict(state["ensemble"])
        self.vaccine.weight = state["weight"]
        self.pool.load_state_dict(state["pool"], self.ensemble.device)
        self.retrospection.load_state_dict(state["retrospection"])
        self.retrospecting = state["retrospecting"]
        # Not every step of every method asks the vaccine, and each tells what it last said.
        self.vaccine.masked_share = state["suspicious"]
        self.decisions = [Decision(*fields) for fields in state["decisions"]]

    def _new_pool(self) -> ImagePool:
        return ImagePool(self.decide_at - self.skip, self.recipe.vaccine.selection_images, self.seed)
