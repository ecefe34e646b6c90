"""Tables of other libraries' networks, made by building each of them without memory for its weights.

``python -m models.checkpoints.library_table`` writes the table of torchvision's networks, which is shipped.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from torch import Tensor, nn

from models.architectures import build
from models.architectures.cost import count_macs
from models.architectures.empty_weights import build_empty, build_with_buffers
from models.architectures.library import LibraryNetwork, constant_buffers
from models.architectures.torchvision_networks import make
from models.checkpoints.constants import integers_sha256
from models.checkpoints.layouts.layout import is_buffer
from models.checkpoints.layouts.library import TABLE_PATH
from models.recipes.architecture import ArchitectureSpec
from models.recipes.blueprints.library import LIBRARY, PREFIX, SIZE_STEPS

_SIZES = (*range(32, 257, 32), 288, 299, 320, 384, 448, 512)
_USUAL_SIZE = 224
#: Two numbers of classes: what differs between both networks belongs to the classifier.
_CLASSES, _FEWER = 1000, 2


def build_on_meta(name: str, *, num_classes: int = _CLASSES, input_size: int = _USUAL_SIZE) -> LibraryNetwork:
    """Build a network without memory for its weights, in evaluation mode."""
    network: LibraryNetwork = build_empty(partial(build, ArchitectureSpec(name, num_classes, input_size)))
    return network


def describe(name: str, input_size: int, sizes: Iterable[int]) -> dict[str, Any]:
    """Write down a network as ``layouts.library.LibraryEntry`` reads it.

    Args:
        name: Registry name.
        input_size: That the network is built for, where its tensors depend on it.
        sizes: Input sizes whose costs are told; those that the network does not take are left out.

    Raises:
        RecipeError: As ``models.architectures.build``.
    """
    many, few = (
        build_on_meta(name, num_classes=classes, input_size=input_size) for classes in (_CLASSES, _FEWER)
    )
    constants = _shapes(constant_buffers(many))
    shapes = {key: shape for key, shape in _shapes(many.state_dict()).items() if key not in constants}
    smaller = _shapes(few.state_dict())
    learned = {key for key, _ in many.network.named_parameters(remove_duplicate=False)}
    macs = {}
    for size in sizes:
        if name in SIZE_STEPS and size % SIZE_STEPS[name]:
            continue
        if name in SIZE_STEPS:
            many, few = (build_on_meta(name, num_classes=k, input_size=size) for k in (_CLASSES, _FEWER))
        if (counted := _macs(many, few, size)) is not None:
            macs[str(size)] = counted
    return {
        "shapes": shapes,
        "classed": [key for key, shape in shapes.items() if shape != smaller[key]],
        "buffers": [key for key in shapes if key not in learned and not is_buffer(key)],
        "constants": constants,
        "digests": digests(name, input_size) if constants else {},
        "macs": macs,
    }


def digests(name: str, input_size: int) -> dict[str, str]:
    """Hash the integers that a network brings along."""
    network: LibraryNetwork = build_with_buffers(partial(build, ArchitectureSpec(name, _FEWER, input_size)))
    return {key: integers_sha256(tensor.numpy()) for key, tensor in constant_buffers(network).items()}


def shapes_of(name: str, input_size: int) -> dict[str, list[int]]:
    """List all tensors of a network with their shapes, for 1,000 classes.

    Raises:
        RecipeError: As ``models.architectures.build``.
    """
    return _shapes(build_on_meta(name, input_size=input_size).state_dict())


def _macs(many: LibraryNetwork, few: LibraryNetwork, size: int) -> tuple[int, int] | None:
    """Count multiply-accumulates: for no class at all, and for each class."""
    try:
        total = count_macs(many, size)
        each = _features(many) or (total - count_macs(few, size)) // (_CLASSES - _FEWER)
    except (RuntimeError, ValueError, AssertionError):  # how libraries say that they take no such image
        return None
    return total - _CLASSES * each, each


def _features(network: LibraryNetwork) -> int | None:
    """Number of inputs of the one linear layer that classifies; None for any other classifier."""
    found = network.network.get_submodule(network.classifier)
    alone = sum(isinstance(one, nn.Linear) and one.out_features == _CLASSES for one in network.modules()) == 1
    return found.in_features if isinstance(found, nn.Linear) and alone else None


def _shapes(state: Mapping[str, Tensor]) -> dict[str, list[int]]:
    return {key: list(tensor.shape) for key, tensor in state.items()}


def _auxiliary(name: str) -> dict[str, list[int]]:
    """List what torchvision may have saved beside the network; -1 is any length, as of other classes."""
    many, few = (
        _shapes(_with_auxiliary(name.removeprefix(PREFIX), classes).state_dict())
        for classes in (_CLASSES, _FEWER)
    )
    kept = build_on_meta(name).state_dict()
    return {
        key: [one if one == other else -1 for one, other in zip(shape, few[key], strict=True)]
        for key, shape in many.items()
        if key not in kept
    }


def _with_auxiliary(name: str, num_classes: int) -> nn.Module:
    network: nn.Module = build_empty(partial(make, name, num_classes, _USUAL_SIZE, auxiliary=True))
    return network


def main() -> None:
    """Write the file; equal versions of torchvision give equal bytes."""
    document = {
        name: {**describe(name, _USUAL_SIZE, _SIZES), "auxiliary": _auxiliary(name)} for name in LIBRARY
    }
    text = json.dumps(document, separators=(",", ":")).encode()
    TABLE_PATH.write_bytes(gzip.compress(text, compresslevel=9, mtime=0))


if __name__ == "__main__":
    main()
