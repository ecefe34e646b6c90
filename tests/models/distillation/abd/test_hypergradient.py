import pytest
import torch
from torch import Tensor

from models.distillation.abd.hypergradient import hypergradient

# g(d, w) = d A d / 2 - d B w is minimal at d* = A^-1 B w; F(d, w) = c d + w w / 2.
SIZE = 10
ROOT = torch.randn(SIZE, SIZE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
A = ROOT @ ROOT.T / SIZE + torch.eye(SIZE, dtype=torch.float64)
B = torch.randn(SIZE, SIZE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
C = torch.randn(SIZE, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
W = torch.randn(SIZE, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
EXACT = B.T @ torch.linalg.solve(A, C) + W


def solve(sweeps: int, scale: float = 1.0, max_growth: float = 1e3, unused: bool = False):
    w = W.clone().requires_grad_(True)
    idle = torch.ones(3, dtype=torch.float64, requires_grad=True)
    delta = torch.linalg.solve(A, B @ W).requires_grad_(True)
    inner = scale * (delta @ A @ delta / 2 - delta @ B @ w)
    outer = C @ delta + w @ w / 2
    parameters: list[Tensor] = [w, idle] if unused else [w]
    return hypergradient(inner, outer, delta, parameters, sweeps=sweeps, step=0.1, max_growth=max_growth)


def error(sweeps: int) -> float:
    return float((solve(sweeps).gradients[0] - EXACT).norm())


def test_many_sweeps_give_the_exact_gradient() -> None:
    assert error(400) < 1e-6


def test_each_sweep_comes_closer() -> None:
    errors = [error(sweeps) for sweeps in range(1, 8)]
    assert errors == sorted(errors, reverse=True)


def test_five_sweeps_are_five_terms_of_the_neumann_series() -> None:
    jacobian = torch.eye(SIZE, dtype=torch.float64) - 0.1 * A
    v = sum(torch.linalg.matrix_power(jacobian.T, k) @ C for k in range(5))
    torch.testing.assert_close(solve(5).gradients[0], W + 0.1 * B.T @ v)


def test_a_diverging_series_is_cut_and_told() -> None:  # trap 37
    result = solve(50, scale=100.0, max_growth=1e3)
    assert result.diverged
    assert len(result.norms) < 50
    assert max(result.norms) <= 1e3 * result.norms[0]
    assert torch.isfinite(result.gradients[0]).all()


def test_a_parameter_in_neither_loss_gets_zero() -> None:  # trap 33
    assert not solve(5, unused=True).gradients[1].any()


def test_the_gradient_is_that_of_finite_differences() -> None:
    def outer_after_inner(w: Tensor) -> float:
        return float(C @ torch.linalg.solve(A, B @ w) + w @ w / 2)

    eye = 1e-6 * torch.eye(SIZE, dtype=torch.float64)
    slopes = [(outer_after_inner(W + e) - outer_after_inner(W - e)) / 2e-6 for e in eye]
    assert solve(400).gradients[0].tolist() == pytest.approx(slopes, abs=1e-4)
