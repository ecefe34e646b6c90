"""Where the stages of any network lie, found by watching one forward pass on the meta device.

The body of a network is a row of modules that run one after another: the children of the network, where the
one child that holds most of the layers is replaced by its own children, and so on. The first module with a
layer is the stem. A stage is what follows at one size of the map; modules without a layer (a lone pooling)
join the next stage. What has one pixel is behind the global pooling and belongs to no stage. A network that
never shrinks its map, as a ViT, has four stages of equally many modules.

Maps come in three forms: (N, C, H, W), channels last (N, H, W, C), and tokens (N, T, C). One with as
many channels as pixels a side, such as Swin-T's first at 384 pixels, does not tell: it is read as the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from models.architectures.empty_weights import build_empty
from models.errors import RecipeError

Form = Literal["map", "channels_last", "tokens"]
_ISOTROPIC_STAGES = 4

TO_MAP: dict[Form, Callable[[Tensor], Tensor]] = {
    "map": lambda x: x,
    "channels_last": lambda x: x.permute(0, 3, 1, 2),
    "tokens": lambda x: x.transpose(1, 2).unsqueeze(3),
}
"""From a form to (N, C, H, W); T tokens are T x 1 pixels."""

FROM_MAP: dict[Form, Callable[[Tensor], Tensor]] = {
    "map": lambda x: x,
    "channels_last": lambda x: x.permute(0, 2, 3, 1),
    "tokens": lambda x: x.squeeze(3).transpose(1, 2),
}


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a network."""

    modules: tuple[str, ...]
    """Its part of the row; the last one's output ends it."""
    channels: int
    form: Form


@dataclass(frozen=True, slots=True)
class _Seen:
    name: str
    form: Form
    channels: int
    side: int
    """H, or the number of tokens."""


def find_stages(make: Callable[[], nn.Module], input_size: int, cut_size: int) -> tuple[Stage, ...]:
    """Build a network without memory for its weights, make sure that it takes a size, and find its stages.

    Args:
        make: Builds the network.
        input_size: Side of the images that it must take.
        cut_size: Side at which the stages are told apart: the one the network was designed for.

    Raises:
        RecipeError: ``input_size_unsupported`` if it does not take images of that size.
    """
    try:
        network = build_empty(make)
    except (TypeError, ValueError, AssertionError, RuntimeError) as error:
        raise _unsupported(input_size, error) from error
    if cut_size != input_size:
        watch(network, input_size, [])
    return cut(network, cut_size)


def cut(network: nn.Module, input_size: int) -> tuple[Stage, ...]:
    """Find the stages of a network.

    Args:
        network: On the meta device, in evaluation mode; takes (1, 3, S, S).
        input_size: Side S of the images.

    Raises:
        RecipeError: ``input_size_unsupported`` if it takes no images of that size.
    """
    seen = _settled([one for one in watch(network, input_size, _row(network)) if one.side > 1])
    layered = [has_layer(network.get_submodule(one.name)) for one in seen]
    if not any(layered):
        return ()
    groups: list[list[_Seen]] = [[]]
    for one in seen[layered.index(True) + 1 :]:
        if groups[-1] and groups[-1][-1].side != one.side and _filled(network, groups[-1]):
            groups.append([])
        groups[-1].append(one)
    if not _filled(network, groups[-1]):
        groups.pop()
    if len(groups) == 1:
        groups = _quarters(network, groups[0])
    return tuple(
        Stage(tuple(one.name for one in group), group[-1].channels, group[-1].form) for group in groups
    )


def watch(network: nn.Module, input_size: int, names: list[str]) -> list[_Seen]:
    """Run one image and list those modules that hand on one map once, in the order of their calls."""
    seen: list[_Seen] = []

    def remember(name: str) -> Callable[[nn.Module, object, object], None]:
        def look(_: nn.Module, __: object, output: object) -> None:
            if isinstance(output, Tensor) and output.ndim in {3, 4}:
                seen.append(_look(name, tuple(output.shape)))

        return look

    handles = [network.get_submodule(name).register_forward_hook(remember(name)) for name in names]
    try:
        with torch.inference_mode():
            network(torch.zeros(1, 3, input_size, input_size, device="meta"))
    except Exception as error:  # a library's own complaint, of whatever type
        raise _unsupported(input_size, error) from error
    finally:
        for handle in handles:
            handle.remove()
    calls = Counter(one.name for one in seen)
    return [one for one in seen if calls[one.name] == 1]


def _unsupported(input_size: int, error: Exception) -> RecipeError:
    told = (str(error).splitlines() or [type(error).__name__])[0]
    return RecipeError(
        f"This network takes no images of {input_size} x {input_size} pixels: {told[:200]}",
        code="input_size_unsupported",
        hint="Declare the input size that the network was trained with.",
    )


def has_layer(module: nn.Module) -> bool:
    """Whether there is a convolution or a linear layer in it."""
    return _layers(module) > 0


def _look(name: str, shape: tuple[int, ...]) -> _Seen:
    if len(shape) == 3:
        return _Seen(name, "tokens", shape[2], shape[1])
    if shape[1] == shape[2] != shape[3]:
        return _Seen(name, "channels_last", shape[3], shape[1])
    return _Seen(name, "map", shape[1], shape[2])


def _settled(seen: Sequence[_Seen]) -> list[_Seen]:
    """Give maps whose shape does not tell their form that of the last one that does, or else of the first."""
    telling = [one for one in seen if one.form != "tokens" and one.channels != one.side]
    form: Form = telling[0].form if telling else "map"
    settled = []
    for one in seen:
        form = one.form if one in telling else form
        settled.append(replace(one, form=form) if one.form == "map" else one)
    return settled


def _layers(module: nn.Module) -> int:
    return sum(isinstance(one, nn.Conv2d | nn.Linear) for one in module.modules())


def _filled(network: nn.Module, group: list[_Seen]) -> bool:
    return any(has_layer(network.get_submodule(one.name)) for one in group)


def _row(network: nn.Module) -> list[str]:
    """List the modules of the body by name."""
    total = _layers(network)
    names = [name for name, _ in network.named_children()]
    while True:
        modules = {name: network.get_submodule(name) for name in names}
        large = (
            name for name in names if 2 * _layers(modules[name]) > total and any(modules[name].children())
        )
        name = next(large, None)
        if name is None:
            return names
        place = names.index(name)
        names[place : place + 1] = [f"{name}.{child}" for child, _ in modules[name].named_children()]


def _quarters(network: nn.Module, group: list[_Seen]) -> list[list[_Seen]]:
    """Cut one stage behind every quarter of its modules with layers."""
    layered = [place for place, one in enumerate(group) if has_layer(network.get_submodule(one.name))]
    parts = min(_ISOTROPIC_STAGES, len(layered))
    ends = [layered[len(layered) * part // parts - 1] + 1 for part in range(1, parts)]
    return [group[begin:end] for begin, end in zip([0, *ends], [*ends, len(group)], strict=True)]
