"""Batches of images without end."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor


def stream_batches(images: Tensor, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield random batches for ever, as pixels in [0, 1] on the generator's device.

    Args:
        images: uint8 (N, 3, H, W). With N below the batch size some repeat within a batch.
        batch_size: Images per batch; every batch is full.
        generator: Source of the order.
    """
    device = generator.device
    order = torch.empty(0, dtype=torch.int64, device=device)
    while True:
        while len(order) < batch_size:
            order = torch.cat([order, torch.randperm(len(images), generator=generator, device=device)])
        chosen, order = order[:batch_size], order[batch_size:]
        yield images[chosen.to(images.device)].to(device).float() / 255
