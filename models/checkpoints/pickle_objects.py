"""The inert objects beside the weights: what they are given, and when they take no more."""

from __future__ import annotations

from models.checkpoints.codes import rejection
from models.checkpoints.pickle_globals import BYTES
from models.checkpoints.pickle_values import Opaque, Sequence, Value


def take_arguments(made: Opaque, arguments: Sequence) -> None:
    """Keep the arguments of an inert object that may hold weights, and count the bytes of all others."""
    if arguments.any_weights:
        made.closed = True
        made.unnamed.append(arguments)
        return
    for argument in arguments.items[:1] if made.name in BYTES else arguments.items:
        if isinstance(argument, Opaque):
            made.held_bytes += argument.held_bytes
        elif isinstance(argument, bytes) or (isinstance(argument, str) and made.name in BYTES):
            made.held_bytes += len(argument)


def require_open(target: Opaque) -> None:
    """Refuse to change what may be another name for weights: an array of a tensor is the tensor's memory.

    Raises:
        CheckpointRejected: ``pickle_malformed``.
    """
    if target.closed:
        raise rejection(
            "pickle_malformed", f"{target.name} is changed after it was given weights or its state."
        )


def set_entries(target: Opaque, items: list[Value]) -> None:
    """Note what SETITEM puts into an inert object: keys and values in turn.

    Raises:
        CheckpointRejected: ``pickle_malformed``.
    """
    require_open(target)
    for key, value in zip(items[::2], items[1::2], strict=True):
        if isinstance(key, str):
            target.entries[key] = value
        else:
            target.unnamed.append(value)


def set_state(target: Opaque, state: Value) -> None:
    """Check what BUILD gives to an inert object: the entries of its own ``__dict__``, or NumPy's tuple.

    The second of two parts of a state is set attribute by attribute: one of them may be ``__dict__``, and the
    weights themselves, which the next attribute is then written to. None of the inert kinds has such a part.

    Raises:
        CheckpointRejected: ``pickle_malformed``.
    """
    require_open(target)
    target.closed = True
    target.unnamed.append(state)
    slots = isinstance(state, Sequence) and len(state.items) == 2 and state.items[1] is not None
    if slots or isinstance(state, Opaque):
        raise rejection("pickle_malformed", "An object beside the weights is given attributes one by one.")
