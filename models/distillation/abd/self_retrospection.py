"""Self-Retrospection: teach the student not to follow shifts that change what the teacher says.

Per student step: improve the perturbations (``perturbations``), then add the gradient of

    F(delta, theta) = 1 / perturbed * sum over the batch of KL( S(x) || S(x + a delta) ),  a = 0 for others

to the distillation gradient. The paper differentiates through delta, too, by the fixed point of the inner
loss ``g = -KL(S(x) || S(x + delta)) + penalty``; that is ``gradient="implicit"``. Source: Hong et al., ICML
2023, section 5 and the code of ABD (algorithms.md 1.4), after I-BAU. Departures:

- delta is held fixed (``gradient="first_order"``): what depends on the student through delta was .0003 of
  the gradient's length with one sweep and .0015 with the code's five (docs/results.md), less than bfloat16
  rounds away, at two to four times the time, and needs a student that can be differentiated twice;
- the outer sum is divided by the number of perturbed images, and counts once for each shape of shift, so that
  ``portion``, ``shape`` and ``weight`` are independent; the other images move only through the batch's
  statistics, and count, as in the code;
- the amplitude a is drawn between 0 and 1 per image: a student that only met full-length shifts kept
  following weaker ones;
- the clean side is detached everywhere (the code detaches it in one of three backbones);
- BatchNorm uses the batch's statistics, as in the code, but its running ones stand still: seven extra passes
  per step, some perturbed, would drown them. With running statistics instead, accuracy fell to .1 within
  twelve steps, because they lag behind the weights;
- a gradient that is not finite is left out of its step, and counted;
- dropout and stochastic depth are off, or the divergence were their noise's, and not 0 without a shift;
- answers are compared at temperature 1 whatever the method's own; and where the method clips its gradient
  (ZSKT), it clips the sum, where the code leaves this branch unclipped;
- perturbations synthesized on the student see it in eval mode: in train mode BatchNorm subtracts a shift that
  all images share, and the ascent found nothing (KL .0001).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from models.architectures import StagedClassifier
from models.distillation.abd.hypergradient import hypergradient
from models.distillation.abd.perturbations import Perturbations
from models.distillation.losses import batch_divergence
from models.engine.double_backward import twice_differentiable
from models.engine.frozen import frozen, still_batchnorm
from models.engine.precision import autocast, bfloat16_pays
from models.engine.seed import make_generator
from models.errors import RecipeError
from models.recipes.abd import RetrospectionRecipe


class SelfRetrospection:
    """Adds its gradient to a student's, step after step."""

    def __init__(
        self, teacher: StagedClassifier, student: StagedClassifier, recipe: RetrospectionRecipe, *, seed: int
    ) -> None:
        """Prepare; the perturbations take shape with the first batch.

        Args:
            teacher: Frozen.
            student: Its gradients are added to; its BatchNorm buffers stay.
            recipe: Lengths and weights.
            seed: Of starts, amplitudes and the choice of images.
        """
        self.teacher, self.student, self.recipe, self.seed = teacher, student, recipe, seed
        self.parameters = list(student.parameters())
        self.perturbations: Perturbations | None = None
        self.turn = 0
        self.skipped = 0
        self.last: dict[str, Tensor] = {}

    def check(self, x: Tensor) -> None:
        """Try an implicit gradient on ``x`` before a run relies on one; changes nothing.

        Args:
            x: Normalized images (N, 3, H, W); the first ``recipe.images`` take part.

        Raises:
            RecipeError: ``retrospection_impossible`` if the recipe wants the implicit gradient and the
                student cannot be differentiated twice: a layer has no second derivative, or one that is not
                finite (the length of an empty token, as in Swin v2).
        """
        if self.recipe.gradient == "first_order":
            return
        x = x[: self.recipe.images].detach()
        generator = make_generator(self.seed, "check")
        try:
            _, gradients, _ = self._gradients(self._drawn(x, generator), x, generator)
        except RuntimeError as error:
            # Other errors, such as too little memory, are none of the student's.
            if "is not implemented" not in str(error):
                raise
            raise _impossible(str(error).splitlines()[0]) from error
        if not _finite(gradients):
            raise _impossible("the second derivative is not finite")

    def add_gradients(self, x: Tensor, scale: float) -> None:
        """Improve the perturbations on ``x`` and add F's weighted gradient to the student's.

        Args:
            x: Normalized images (N, 3, H, W); the first ``recipe.images`` take part.
            scale: Factor of the divergence, see ``Defense.add_gradients``.
        """
        x = x[: self.recipe.images].detach()
        generator = make_generator(self.seed, f"retrospection {self.turn}")
        perturbations = self._refreshed(x, generator)
        hits = self._climb(perturbations, x)
        outer, gradients, told = self._gradients(perturbations, x, generator)
        lengths = perturbations.shifts(perturbations.in_play(len(x), self.turn)).flatten(1).norm(dim=1)
        self.turn += 1
        if not _finite(gradients):
            self.skipped += 1
            self.last = {**self.last, "retrospection_skipped": torch.tensor(float(self.skipped))}
            return
        with torch.no_grad():
            for parameter, gradient in zip(self.parameters, gradients, strict=True):
                weighted = self.recipe.weight * scale * gradient
                parameter.grad = weighted if parameter.grad is None else parameter.grad + weighted
        self.last = {
            "perturbation_success": hits,
            "perturbation_norm": lengths.mean(),
            "retrospection_loss": outer,
            **told,
            "retrospection_skipped": torch.tensor(float(self.skipped)),
        }

    def _refreshed(self, x: Tensor, generator: torch.Generator) -> Perturbations:
        """Return the perturbations, one of them started anew."""
        if self.perturbations is None:
            self.perturbations = self._drawn(x, generator)
            # A first stretch, so that the student does not learn from noise.
            self._climb(self.perturbations, x, rounds=3 * self.recipe.rounds)
        index = self.turn % self.perturbations.count
        self.perturbations.restart(slice(index, index + 1), generator)
        return self.perturbations

    def _drawn(self, x: Tensor, generator: torch.Generator) -> Perturbations:
        with torch.no_grad():
            classes = self.teacher(x[:1]).shape[1]
        perturbations = Perturbations(self.recipe, classes, x.shape[1:], x.device, unit=float(x.std()))
        perturbations.restart(slice(None), generator)
        return perturbations

    def _climb(self, perturbations: Perturbations, x: Tensor, rounds: int | None = None) -> Tensor:
        answer = self.teacher if self.recipe.synthesize_on == "teacher" else self.student
        training = self.student.training
        with frozen(answer):
            hits = perturbations.climb(answer, x, rounds or self.recipe.rounds, self.turn)
        self.student.train(training)
        return hits

    def _gradients(
        self, perturbations: Perturbations, x: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, tuple[Tensor, ...], dict[str, Tensor]]:
        """Return F, its gradient for every parameter, and what there is to tell of a series."""
        playing = perturbations.in_play(len(x), self.turn)
        # int() alone would perturb nothing in batches under 1 / portion images (algorithms.md 8, item 36).
        perturbed = max(1, int(self.recipe.portion * len(x)))
        order = torch.randperm(len(x), generator=generator)[:perturbed].to(x.device)
        place = torch.randint(len(playing), (len(x),), generator=generator).to(x.device)
        amplitude = torch.zeros(len(x), 1, 1, 1, device=x.device)
        # The square root leans towards full length: density 2a.
        amplitude[order] = torch.rand(perturbed, 1, 1, 1, generator=generator).sqrt().to(x.device)
        factor = perturbations.shapes * len(x) / perturbed
        with still_batchnorm(self.student):
            if self.recipe.gradient == "implicit":
                return self._hypergradient(perturbations.shifts(playing), place, x, amplitude, factor)
            shifted = x + amplitude * perturbations.shifts(playing).index_select(0, place)
            with autocast(x.device, bfloat16_pays(x.device)):
                with torch.no_grad():
                    clean = self.student(x)
                answers = self.student(shifted)
            outer = batch_divergence(clean.float(), answers.float()) * factor
            found = torch.autograd.grad(outer, self.parameters, allow_unused=True)
        pairs = zip(self.parameters, found, strict=True)
        gradients = tuple(torch.zeros_like(p) if gradient is None else gradient for p, gradient in pairs)
        return outer.detach(), gradients, {}

    def _hypergradient(
        self, delta: Tensor, place: Tensor, x: Tensor, amplitude: Tensor, factor: float
    ) -> tuple[Tensor, tuple[Tensor, ...], dict[str, Tensor]]:
        """Differentiate F through the shifts ``delta``, too; ``place`` says which of them each image has."""
        recipe = self.recipe
        delta = delta.requires_grad_(True)
        # Not delta[place]: on two threads its gradient is summed in whatever order they come to it.
        shifts = delta.index_select(0, place)
        with twice_differentiable(self.student):
            with torch.no_grad():
                clean = self.student(x)
            outer_answers = self.student(x + amplitude * shifts)
            inner_answers = self.student(x + shifts)
        outer = batch_divergence(clean, outer_answers) * factor
        inner = -batch_divergence(clean, inner_answers)
        inner = inner + recipe.norm_penalty * delta.square().sum()
        result = hypergradient(
            inner,
            outer,
            delta,
            self.parameters,
            sweeps=recipe.sweeps,
            step=recipe.step,
            max_growth=recipe.max_growth,
        )
        told = {
            "series_growth": torch.tensor(result.norms[-1] / max(result.norms[0], 1e-12)),
            "series_terms": torch.tensor(float(len(result.norms))),
        }
        return outer.detach(), result.gradients, told

    def state_dict(self) -> dict[str, Any]:
        """Return the perturbations, the turn and what was told last."""
        kept = None if self.perturbations is None else self.perturbations.state_dict()
        return {"perturbations": kept, "turn": self.turn, "skipped": self.skipped, "last": dict(self.last)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state from ``state_dict``."""
        self.turn, self.skipped = state["turn"], state["skipped"]
        self.last = dict(state["last"])
        kept = state["perturbations"]
        if kept is not None:
            device = next(self.student.parameters()).device
            self.perturbations = Perturbations.of_state(self.recipe, kept, device)


def _finite(gradients: Sequence[Tensor]) -> bool:
    return bool(torch.stack([gradient.isfinite().all() for gradient in gradients]).all())


def _impossible(reason: str) -> RecipeError:
    return RecipeError(
        f"Self-Retrospection has to differentiate the student twice, and cannot: {reason}.",
        code="retrospection_impossible",
        hint='Set abd.retrospection.gradient to "first_order", the default, or name another student.',
    )
