"""What a checkpoint holds in bulk beside the model: another network, whatever it looks like.

``other_networks`` tells networks by the names and shapes of this one's weights. A network of another kind,
one whose modules are mappings of their own, and one of NumPy arrays it cannot tell. They are told by their
size: by the bytes of all storages that neither the weights nor an optimizer's state for them have a use for.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import chain

from models.checkpoints.containers import OpenedCheckpoint
from models.checkpoints.other_networks import containers, contents
from models.checkpoints.pickle_values import Mapping, Opaque, Sequence, Value
from models.checkpoints.select_state_dict import SelectedStateDict
from models.checkpoints.tensor_spec import TensorSpec

#: Less than this is no network that anyone trains: a random generator's state has 5,056 bytes.
_FEWEST_BYTES = 64 * 1024
#: Less than this part of the weights' bytes is not told.
_SHARE = 0.1
_MOST_PLACES = 3
#: AMSGrad keeps so many tensors of every weight's shape.
_OPTIMIZER_TENSORS = 3
_OPTIMIZER_KEYS = {"state", "param_groups"}
_UNPLACED = "beside the weights in their own storages"


def warn_of_payload(opened: OpenedCheckpoint, selected: SelectedStateDict) -> tuple[str, ...]:
    """Say how much lies beside the model, and where, if it is much.

    Args:
        opened: The file.
        selected: The weights, from the same tree: its tensors are known by their identity.
    """
    weights = list(selected.tensors.values())
    known = {id(spec) for spec in weights}
    used = _used_bytes([*weights, *_optimizer_tensors(opened.root, weights)])
    idle = {key: len(data) - used[key] for key, data in opened.storages.items() if len(data) > used[key]}
    where: Counter[str] = Counter()
    seen: set[int] = set()
    for path, node in containers(opened.root):
        for value in _values(node):
            if isinstance(value, TensorSpec):
                where[path] += idle.pop(value.storage.key, 0) if id(value) not in known else 0
            elif isinstance(value, bytes) and id(value) not in seen:
                seen.add(id(value))
                where[path] += len(value)
        where[path] += node.held_bytes if isinstance(node, Opaque) else 0
    return _warning(where, sum(idle.values()), sum(spec.size_bytes for spec in weights))


def _warning(by_path: Counter[str], unplaced: int, weights_bytes: int) -> tuple[str, ...]:
    places: Counter[str] = Counter({_UNPLACED: unplaced})
    for path, size in by_path.items():
        top = path[1:].partition(".")[0]
        places[f"in {top!r}" if top else "at the top of the file"] += size
    total = places.total()
    if total < max(_FEWEST_BYTES, _SHARE * weights_bytes):
        return ()
    found = [(place, size) for place, size in places.most_common() if size]
    told = ", ".join(f"{place} ({size:,})" for place, size in found[:_MOST_PLACES])
    more = f" and in {len(found) - _MOST_PLACES} more places" if len(found) > _MOST_PLACES else ""
    return (
        f"The file holds {total:,} bytes of tensors and arrays that are neither the model's weights "
        f"({weights_bytes:,} bytes) nor an optimizer's state for them: {told}{more}. They may be another "
        "network, and are not looked at. If your program loads them, save them alone, as a state dict.",
    )


def _values(node: Mapping | Sequence | Opaque) -> Iterator[Value]:
    named, others = contents(node)
    return chain(named.values(), others)


def _used_bytes(specs: Iterable[TensorSpec]) -> Counter[str]:
    """Count each storage's bytes that tensors show; never more than there are between their ends."""
    spans: dict[str, list[tuple[int, int]]] = defaultdict(list)
    sizes: Counter[str] = Counter()
    for spec in specs:
        if spec.elements:
            steps = zip(spec.shape, spec.strides, strict=True)
            reach = 1 + sum((length - 1) * stride for length, stride in steps)
            width = spec.storage.dtype.itemsize
            spans[spec.storage.key].append((width * spec.offset, width * (spec.offset + reach)))
            sizes[spec.storage.key] += spec.size_bytes
    return Counter({key: min(_union(spans[key]), size) for key, size in sizes.items()})


def _union(spans: list[tuple[int, int]]) -> int:
    total = end = 0
    for begin, until in sorted(spans):
        total += max(0, until - max(begin, end))
        end = max(end, until)
    return total


def _optimizer_tensors(root: Value, weights: list[TensorSpec]) -> Iterator[TensorSpec]:
    """Yield the tensors of optimizers' state dicts that belong to the weights by their shapes.

    A few of each shape, as an optimizer keeps them: what goes beyond is another network's.
    """
    left = Counter({shape: _OPTIMIZER_TENSORS * n for shape, n in Counter(w.shape for w in weights).items()})
    seen: set[int] = set()
    for _, node in containers(root):
        if not isinstance(node, Mapping) or node.entries.keys() != _OPTIMIZER_KEYS:
            continue
        for kept in _values_once(node.entries["state"], seen):
            for value in _values_once(kept, seen):
                if isinstance(value, TensorSpec) and left[value.shape] > 0:
                    left[value.shape] -= 1
                    yield value


def _values_once(node: Value, seen: set[int]) -> Iterator[Value]:
    """Return a mapping's values the first time only: thousands of optimizers may share one state."""
    if not isinstance(node, Mapping) or id(node) in seen:
        return iter(())
    seen.add(id(node))
    return _values(node)
