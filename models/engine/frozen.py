"""A guard under which a network cannot learn: eval mode, no gradients, BatchNorm buffers that stay."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import nn

from models.errors import TrainingFailed

Network = TypeVar("Network", bound=nn.Module)


@contextmanager
def frozen(network: Network) -> Iterator[Network]:
    """Hold ``network`` in eval mode without parameter gradients, and check on leaving that no buffer moved.

    A teacher in train mode quietly rewrites its own running statistics (algorithms.md 8, item 21). Inputs may
    still need gradients; only the parameters do not. Modes and gradient flags are restored on leaving.

    Raises:
        TrainingFailed: ``teacher_changed`` if a buffer of the network changed inside.
    """
    modes = [(module, module.training) for module in network.modules()]
    flags = [(parameter, parameter.requires_grad) for parameter in network.parameters()]
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    network.eval()
    network.requires_grad_(False)
    try:
        yield network
        moved = [name for name, buffer in network.named_buffers() if not torch.equal(buffer, before[name])]
        if moved:
            raise TrainingFailed(
                f"{len(moved)} buffers of a frozen network changed, first {moved[0]}.", code="teacher_changed"
            )
    finally:
        for module, training in modes:
            module.training = training
        for parameter, flag in flags:
            parameter.requires_grad_(flag)


@contextmanager
def still_batchnorm(network: nn.Module) -> Iterator[None]:
    """Let BatchNorm use batch statistics without moving its running ones, and hold all else in eval mode.

    Self-Retrospection runs about seven extra forward passes per student step, some on perturbed images; they
    would drown the running statistics of the images the student really learns from (item 22). And it compares
    two passes: dropout and stochastic depth, drawn anew in each, would make them differ by themselves. Modes
    are restored on leaving.
    """
    modes = [(module, module.training) for module in network.modules()]
    norms = [module for module, _ in modes if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)]
    tracking = [norm for norm in norms if norm.track_running_stats]
    network.eval()
    for norm in norms:
        norm.train()
    for norm in tracking:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in tracking:
            norm.track_running_stats = True
        for module, training in modes:
            module.training = training
