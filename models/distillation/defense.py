"""The seam between a data-free method and a defense: where the one asks and the other answers.

A method asks at four points and never whether there is a defense; without one, ``NoDefense`` gives the
answers that change nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from torch import Tensor


class Defense(Protocol):
    """Consulted by a method in every step."""

    def observe(self, index: int, x: Tensor, teacher_logits: Tensor) -> None:
        """See the images of step ``index``, normalized (N, 3, H, W), and the teacher's logits (N, K)."""

    def generator_term(self, x: Tensor, teacher_logits: Tensor, stages: Sequence[Tensor] = ()) -> Tensor:
        """Return a scalar to add to the loss of whoever made ``x``; gradients flow into ``x``.

        Args:
            x: Normalized (N, 3, H, W).
            teacher_logits: (N, K), with their graph into ``x``.
            stages: The teacher's stage outputs on ``x``, if at hand: they save computing them again.
        """

    def student_loss(
        self, x: Tensor, teacher_logits: Tensor, losses: Tensor, stages: Sequence[Tensor] = ()
    ) -> Tensor:
        """Reduce the student's losses (N,) on images that nobody generated to a scalar.

        ``stages`` as in ``generator_term``.
        """

    def add_gradients(self, x: Tensor, scale: float) -> None:
        """Add to the student's gradients, after its own loss has been differentiated.

        Args:
            x: The images of this student step, normalized (N, 3, H, W).
            scale: What the method multiplies a divergence summed over classes with: 1 for a mean over the
                batch, 1 / K for one over batch and classes.
        """

    def scalars(self) -> dict[str, Tensor]:
        """Return named numbers of the last step, for the curve."""

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state from ``state_dict``."""


class NoDefense:
    """Changes nothing."""

    def observe(self, index: int, x: Tensor, teacher_logits: Tensor) -> None:
        """See the images and forget them."""

    def generator_term(self, x: Tensor, teacher_logits: Tensor, stages: Sequence[Tensor] = ()) -> Tensor:
        """Add nothing."""
        del teacher_logits, stages
        return x.new_zeros(())

    def student_loss(
        self, x: Tensor, teacher_logits: Tensor, losses: Tensor, stages: Sequence[Tensor] = ()
    ) -> Tensor:
        """Take the mean."""
        del x, teacher_logits, stages
        return losses.mean()

    def add_gradients(self, x: Tensor, scale: float) -> None:
        """Add nothing."""

    def scalars(self) -> dict[str, Tensor]:
        """Tell nothing."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """Need nothing."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Need nothing."""
