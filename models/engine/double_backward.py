"""Second derivatives of networks whose kernels have only a first one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel


@contextmanager
def twice_differentiable(network: nn.Module) -> Iterator[None]:
    """Compute attention and hard sigmoids so that gradients of ``network`` can be differentiated again.

    Fused attention has no second derivative in torch: its plain formula takes the kernels' place, with the
    memory for all pairs of tokens. ``nn.Hardsigmoid`` has none either: min(max(x + 3, 0), 6) / 6 equals it.
    What else may lack one stays as it is, and raises a RuntimeError when it is differentiated again.
    """
    hooks = [
        module.register_forward_hook(_hard_sigmoid)
        for module in network.modules()
        if isinstance(module, nn.Hardsigmoid)
    ]
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        for hook in hooks:
            hook.remove()


def _hard_sigmoid(_: nn.Module, arguments: tuple[Tensor], __: Tensor) -> Tensor:
    return functional.relu6(arguments[0] + 3.0) / 6.0
