"""Predictions of a network that takes pixels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain

import torch
from torch import Tensor, nn

#: Larger batches gain nothing on two cores and cost memory: 500 x 32 x 32 x 160 channels are 328 MB.
BATCH_SIZE = 250


def predict(network: nn.Module, images: Tensor, *, batch_size: int = BATCH_SIZE) -> Tensor:
    """Return the most likely class of each image.

    Args:
        network: Takes pixels in [0, 1]; run in evaluation mode on its own device, modes restored after.
        images: (N, 3, H, W), uint8 or pixels in [0, 1].
        batch_size: Images at a time.

    Returns:
        int64 (N,), on the CPU.
    """
    with evaluation_mode(network), torch.inference_mode():
        starts = range(0, max(1, len(images)), batch_size)
        batches = (to_pixels(images[start : start + batch_size], network) for start in starts)
        classes = [network(batch).argmax(dim=1).cpu() for batch in batches]
    return torch.cat(classes)


def to_pixels(images: Tensor, network: nn.Module) -> Tensor:
    """Return images as pixels in [0, 1] on the network's device; bytes are divided by 255."""
    anchor = next(chain(network.parameters(), network.buffers()), None)
    images = images if anchor is None else images.to(anchor.device)
    return images if images.is_floating_point() else images.to(torch.float32) / 255.0


@contextmanager
def evaluation_mode(network: nn.Module) -> Iterator[None]:
    """Put every module in evaluation mode, and back as it was, module by module."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
