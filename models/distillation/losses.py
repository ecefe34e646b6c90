"""Divergences between logits, and the attention map.

Three reductions of the same Kullback-Leibler divergence are in use and must not be confused (algorithms.md
0.3): per sample, its mean over the batch, and its mean over batch *and classes*, which is the second divided
by K. The published constants (lambda 0.1, beta 250, learning rate 2e-3) were tuned with the last at K = 10.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional


def sample_divergence(reference: Tensor, approximation: Tensor, temperature: float = 1.0) -> Tensor:
    """Compute KL(softmax(reference / t) || softmax(approximation / t)) of every sample.

    Args:
        reference: Logits (N, K) of the distribution the expectation runs over.
        approximation: Logits (N, K).
        temperature: t. No factor t² is applied.

    Returns:
        (N,), summed over classes, in float32.
    """
    log_p = functional.log_softmax(reference.float() / temperature, dim=1)
    log_q = functional.log_softmax(approximation.float() / temperature, dim=1)
    return (log_p.exp() * (log_p - log_q)).sum(dim=1)


def batch_divergence(reference: Tensor, approximation: Tensor, temperature: float = 1.0) -> Tensor:
    """Average ``sample_divergence`` over the batch (PyTorch's ``batchmean``); a scalar."""
    return sample_divergence(reference, approximation, temperature).mean()


def element_divergence(reference: Tensor, approximation: Tensor, temperature: float = 1.0) -> Tensor:
    """Average over batch and classes (PyTorch's ``mean``): ``batch_divergence`` / K; a scalar."""
    return batch_divergence(reference, approximation, temperature) / reference.shape[1]


class _ChannelMeanSquare(torch.autograd.Function):
    """The mean of squares over channels, (N, C, H, W) to (N, H, W) in float32, once differentiable.

    Written out, ``activation.float().square().mean(1)`` keeps two float32 copies of the activation, and its
    backward pass hands back a gradient in NCHW layout, with which the whole residual stream then computes:
    a tenth of a student step of zero-shot transfer in bfloat16. Here one kernel reduces and one multiplies.
    """

    @staticmethod
    def forward(ctx: Any, activation: Tensor) -> Tensor:
        ctx.save_for_backward(activation)
        norm: Tensor = torch.linalg.vector_norm(activation, dim=1, dtype=torch.float32)
        return norm.square() / activation.shape[1]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (activation,) = ctx.saved_tensors
        scaled = (gradient * (2.0 / activation.shape[1])).unsqueeze(1)
        return cast(Tensor, activation * scaled.to(activation.dtype))


def attention_map(activation: Tensor) -> Tensor:
    """Square, average over channels, flatten, and scale every sample to unit length.

    Args:
        activation: (N, C, H, W), a stage's raw output. Differentiable once.

    Returns:
        (N, H * W).
    """
    squares = cast(Tensor, _ChannelMeanSquare.apply(activation))
    return functional.normalize(squares.flatten(1), dim=1)


def attention_distance(student: Sequence[Tensor], teacher_maps: Sequence[Tensor]) -> Tensor:
    """Sum over stages the mean squared difference of attention maps; a scalar.

    The mean runs over batch *and positions*, about 1 / (H W) of the usual sum; beta = 250 makes up for it
    (Zagoruyko and Komodakis, ICLR 2017, in the reading of ZSKT; algorithms.md 8, item 17).

    Args:
        student: Stage outputs (N, C_i, H_i, W_i).
        teacher_maps: What ``attention_map`` made of the teacher's stages, (N, H_i * W_i) each.
    """
    terms = [(attention_map(s) - t).square().mean() for s, t in zip(student, teacher_maps, strict=True)]
    return torch.stack(terms).sum()
