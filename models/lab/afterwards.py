"""What is done to a finished network with clean images: further training, pruning."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from models.lab.workshop import Trained, Workshop


def afterwards(shop: Workshop, name: str, made: Trained) -> Trained:
    """Do what the recipe says to a finished network; without instructions it is returned as it is.

    Args:
        shop: Of the recipe.
        name: Of the training that made the network.
        made: The network; pruned in place.
    """
    recipe = shop.recipe.after
    if recipe.epochs:
        how = replace(
            shop.how(), epochs=recipe.epochs, learning_rate=recipe.learning_rate, schedule="constant"
        )
        data = shop.training
        made = shop.train(f"after {name}", data.images, data.labels, how=how, start=made.classifier)
    if recipe.pruned:
        prune(made.classifier.network, recipe.pruned)
    return made


def prune(network: nn.Module, share: float) -> None:
    """Set the smallest weights of every convolution and linear layer to zero, in place.

    Magnitude pruning, layer by layer (Han et al., NeurIPS 2015), without training again.

    Args:
        network: Any.
        share: Of each layer's weights, rounded down.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            weight = module.weight.detach()
            count = int(share * weight.numel())
            smallest = weight.abs().flatten().topk(count, largest=False).indices
            with torch.no_grad():
                # A view that is not contiguous would be filled as a copy.
                kept = torch.ones(weight.numel(), dtype=weight.dtype, device=weight.device)
                kept[smallest] = 0
                weight.mul_(kept.view(weight.shape))
