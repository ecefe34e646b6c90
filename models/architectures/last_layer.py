"""Which layer gives the logits."""

from __future__ import annotations

from torch import nn

from models.architectures.library import LibraryNetwork


def last_layer(network: nn.Module) -> nn.Module | None:
    """Return the layer that gives the logits, None without layers; SqueezeNet's is a 1x1 convolution."""
    if isinstance(network, LibraryNetwork):
        return network.network.get_submodule(network.classifier)
    layers = [module for module in network.modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    return layers[-1] if layers else None
