"""Other networks in a checkpoint than the one that was chosen, wherever they lie."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import chain

from models.checkpoints.codes import printable, rejection
from models.checkpoints.pickle_values import Mapping, Opaque, Sequence, Value
from models.checkpoints.tensor_spec import TensorSpec

_WRAPPERS = re.compile(r"^(module\.|_orig_mod\.)+")
Container = Mapping | Sequence | Opaque
#: An optimizer keeps at most three tensors of a weight's shape together (AMSGrad).
_FEWEST_ALIKE = 4
_MOST_PLACES = 3
#: Objects may lie in objects without end: their path does not grow with them.
_LONGEST_PATH = 200


def require_no_twin(root: Value, found: str, selected: Mapping) -> None:
    """Refuse if another mapping, wherever it lies, has at least half of the weights' names.

    Averages of the weights lie under many names, and which of the two a program takes is its own affair.

    Raises:
        CheckpointRejected: ``state_dict_ambiguous``.
    """
    names = _bare_names(selected)
    for path, node in containers(root):
        if node is not selected and 2 * len(names & _bare_names(node)) >= len(names):
            raise rejection(
                "state_dict_ambiguous",
                f"{printable(found)!r} may be the model, but tensors of the same names lie {_place(path)}, "
                "too.",
                hint=f"If {printable(found)!r} is the model, set state_dict_key to it; otherwise to the path "
                "of the other, or save model.state_dict() alone.",
            )


def warn_of_lookalikes(root: Value, found: str, selected: Mapping) -> tuple[str, ...]:
    """Say where tensors lie together that have the shapes of half of the weights or more.

    Without the weights' names they are no reason to refuse: averages of the weights are kept in lists, and
    mixed precision keeps weights twice. An optimizer's state is not meant: it lies apart for every weight.
    """
    wanted = _matrix_shapes(selected)
    enough = max(_FEWEST_ALIKE, wanted.total() / 2)
    places = [
        _place(path)
        for path, node in containers(root)
        if node is not selected and (_matrix_shapes(node) & wanted).total() >= enough
    ]
    if not places:
        return ()
    more = f" and in {len(places) - _MOST_PLACES} more places" if len(places) > _MOST_PLACES else ""
    return (
        f"{printable(found)!r} was taken for the model. Tensors of the same shapes, under other names or "
        f"none, lie {', '.join(places[:_MOST_PLACES])}{more}: averages of the weights, or another network. "
        "They are not looked at. If your program loads those, save them alone, as a state dict.",
    )


def containers(root: Value) -> Iterator[tuple[str, Container]]:
    """Yield everything that holds values, once, with the names on the way to it."""
    seen: set[int] = set()
    waiting: list[tuple[str, Value]] = [("", root)]
    while waiting:
        path, node = waiting.pop()
        if not isinstance(node, Container) or id(node) in seen:
            continue
        seen.add(id(node))
        yield path, node
        named, others = contents(node)
        unnamed = _further(path, "(no text)") if isinstance(node, Mapping) else path
        waiting += [(unnamed, value) for value in others if isinstance(value, Container)]
        waiting += [
            (_further(path, name), value) for name, value in named.items() if isinstance(value, Container)
        ]


def contents(node: Container) -> tuple[dict[str, Value], list[Value]]:
    """Return what lies in a container under a name, and what lies in it without one."""
    return ({}, node.items) if isinstance(node, Sequence) else (node.entries, node.unnamed)


def _further(path: str, name: str) -> str:
    return f"{path}.{printable(name)}" if len(path) < _LONGEST_PATH else path


def _place(path: str) -> str:
    return f"in {path[1:]!r}" if path else "at the top of the file"


def _bare_names(node: Container) -> set[str]:
    """Return the names of its tensors without wrappers: not all have one where averages count their steps."""
    named, _ = contents(node)
    return {_WRAPPERS.sub("", name) for name, entry in named.items() if isinstance(entry, TensorSpec)}


def _matrix_shapes(node: Container) -> Counter[tuple[int, ...]]:
    """Count the shapes of its tensors of two dimensions or more: vectors of a length are everywhere."""
    named, others = contents(node)
    return Counter(
        value.shape
        for value in chain(named.values(), others)
        if isinstance(value, TensorSpec) and len(value.shape) > 1
    )
