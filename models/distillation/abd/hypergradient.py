"""Implicit differentiation through a fixed point: how the student's weights move the worst perturbation.

The inner problem finds delta by steps ``Phi(delta, theta) = delta - eta * grad_delta g(delta, theta)``; the
outer one minimizes ``F(delta(theta), theta)``. At the fixed point

    dF/dtheta = grad_theta F + (dPhi/dtheta)^T v,   v = J^T v + grad_delta F,   J = dPhi/ddelta.

``v`` is found by K sweeps from 0, which are the first K terms of the Neumann series of (I - J^T)^-1.

Source: I-BAU (Zeng et al., ICLR 2022) after Grazzi et al. (ICML 2020); constants in ABD's code K = 5,
eta = 0.1. The series converges only if ||J|| < 1, which nothing guarantees for an unnormalized divergence
(algorithms.md 8, item 37); the code of ABD does not look, this one watches ||v|| and stops.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Hypergradient:
    """The gradient for every parameter, and how the series behaved.

    ``norms`` holds ||v|| after each sweep; ``diverged`` tells that the series was cut because it grew.
    """

    gradients: tuple[Tensor, ...]
    norms: tuple[float, ...]
    diverged: bool


def hypergradient(
    inner_loss: Tensor,
    outer_loss: Tensor,
    delta: Tensor,
    parameters: Sequence[Tensor],
    *,
    sweeps: int = 5,
    step: float = 0.1,
    max_growth: float = 1e3,
) -> Hypergradient:
    """Differentiate the outer loss by the parameters, through the inner solution.

    Args:
        inner_loss: g(delta, theta), a scalar with its graph, twice differentiable.
        outer_loss: F(delta, theta), a scalar with its graph.
        delta: The inner solution; requires gradients.
        parameters: theta. A parameter that a loss does not touch counts as gradient zero.
        sweeps: K, terms of the series.
        step: eta.
        max_growth: Stop when ||v|| exceeds this multiple of ||grad_delta F||, or is not finite, and go back
            to the last good v.
    """
    parameters = list(parameters)
    outer = torch.autograd.grad(outer_loss, [delta, *parameters], retain_graph=True, allow_unused=True)
    outer_delta = torch.zeros_like(delta) if outer[0] is None else outer[0]
    (inner_delta,) = torch.autograd.grad(inner_loss, delta, create_graph=True)
    v = outer_delta.clone()
    norms = [float(v.norm())]
    diverged = False
    for _ in range(sweeps - 1):
        (curvature,) = torch.autograd.grad(inner_delta, delta, grad_outputs=v, retain_graph=True)
        following = v - step * curvature + outer_delta
        norm = float(following.norm())
        if not norm <= max_growth * norms[0]:  # also true for NaN
            diverged = norms[0] > 0.0
            break
        v = following
        norms.append(norm)
        if abs(norms[-1] - norms[-2]) < 1e-10:
            break
    mixed = torch.autograd.grad(inner_delta, parameters, grad_outputs=v, allow_unused=True)
    gradients = tuple(
        (torch.zeros_like(p) if direct is None else direct) - (0.0 if through is None else step * through)
        for p, direct, through in zip(parameters, outer[1:], mixed, strict=True)
    )
    return Hypergradient(gradients, tuple(norms), diverged)
