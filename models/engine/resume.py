"""Nested state dictionaries as the flat state that a monitor can keep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor

from models.engine.monitor import ResumeState

_TENSOR = "tensor"
_MAPPING = "mapping"
_SEQUENCE = "sequence"


def pack(state: Mapping[str, Any]) -> ResumeState:
    """Flatten ``state``; tensors are copied to the CPU, the rest must be numbers, strings, None or nestings.

    Tensors get dotted names; keys that are no strings, as in an optimizer's state, survive JSON as pairs.
    """
    tensors: dict[str, Tensor] = {}
    return ResumeState(tensors, {"tree": _pack(state, "", tensors)})


def unpack(state: ResumeState) -> dict[str, Any]:
    """Rebuild what ``pack`` flattened."""
    return cast(dict[str, Any], _unpack(state.values["tree"], state.tensors))


def _pack(value: Any, name: str, tensors: dict[str, Tensor]) -> object:
    if isinstance(value, Tensor):
        tensors[name] = value.detach().to("cpu", copy=True).contiguous()
        return {_TENSOR: name}
    if isinstance(value, Mapping):
        return {_MAPPING: [[key, _pack(item, _join(name, key), tensors)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        return {_SEQUENCE: [_pack(item, _join(name, index), tensors) for index, item in enumerate(value)]}
    return value


def _unpack(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if not isinstance(value, Mapping):
        return value
    if _TENSOR in value:
        # A copy: optimizers write into the state they are given.
        return tensors[value[_TENSOR]].clone(memory_format=torch.contiguous_format)
    if _MAPPING in value:
        return {key: _unpack(item, tensors) for key, item in value[_MAPPING]}
    return [_unpack(item, tensors) for item in value[_SEQUENCE]]


def _join(name: str, key: object) -> str:
    return f"{name}.{key}" if name else str(key)
