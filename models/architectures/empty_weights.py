"""Building a network for its structure alone: names, shapes, order of calls, and no memory for weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import nn


@contextmanager
def empty_weights() -> Iterator[None]:
    """Put every parameter that a module registers on the meta device; for one thread of a process at a time.

    ``torch.device("meta")`` would put all tensors there, also those from which RegNet and others compute how
    many layers they have.
    """
    register = nn.Module.register_parameter

    def register_empty(self: nn.Module, name: str, param: nn.Parameter | None) -> None:
        if param is not None:
            param = nn.Parameter(param.to("meta"), requires_grad=param.requires_grad)
        register(self, name, param)

    nn.Module.register_parameter = register_empty  # type: ignore[method-assign]
    try:
        yield
    finally:
        nn.Module.register_parameter = register  # type: ignore[method-assign]


def build_empty(make: Callable[[], Any]) -> Any:
    """Call ``make`` and return the network it makes, wholly on the meta device and in evaluation mode."""
    return _without_weights(make, otherwise=torch.device("meta")).to("meta").eval()


def build_with_buffers(make: Callable[[], Any]) -> Any:
    """Call ``make`` and return the network it makes: buffers with their values, parameters without."""
    return _without_weights(make, otherwise=nullcontext())


def _without_weights(make: Callable[[], Any], otherwise: AbstractContextManager[Any]) -> Any:
    """Make a network without its parameters' values; ``otherwise``, where some of its buffers need them."""
    try:
        with empty_weights():
            return make()
    except (NotImplementedError, RuntimeError):
        with otherwise:
            return make()
