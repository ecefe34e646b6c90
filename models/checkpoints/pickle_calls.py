"""What the allowed callables would have made, told from their arguments. Nothing is called."""

from __future__ import annotations

from collections.abc import Callable
from itertools import starmap

from models.checkpoints.codes import rejection
from models.checkpoints.limits import Limits
from models.checkpoints.pickle_globals import BUFFERS, BYTES, CALLS, INERT, SCALARS, STORAGES
from models.checkpoints.pickle_values import Global, Mapping, Opaque, Sequence, Value
from models.checkpoints.tensor_spec import StorageSpec, TensorSpec, check_tensor

#: Parameters of one module that spectral_norm notes: one as a rule. More could be shared by all modules.
_MOST_NOTED = 16


def imitate_call(function: Global, arguments: list[Value], limits: Limits) -> Value:
    """Return what ``function(*arguments)`` stands for.

    Raises:
        CheckpointRejected: ``pickle_malformed`` when arity or types are not those torch writes, or what the
            tensor's bounds say.
    """
    if function.name in SCALARS:
        _check_scalar(arguments)
    if function.name in BUFFERS:
        _check_buffer(arguments)
    if function.name in INERT:
        return Opaque(function.name)
    if function.name not in CALLS:
        raise rejection("pickle_malformed", f"{function.name} is called, which torch.save never does.")
    return _IMITATIONS[function.name](arguments, limits)


def imitate_new(kind: Global, arguments: list[Value]) -> Value:
    """Return what ``kind.__new__(kind, *arguments)`` stands for: no call of ``__init__``.

    Raises:
        CheckpointRejected: ``pickle_malformed`` for what torch and Python make otherwise or not at all. An
            OrderedDict is made empty, whatever its arguments are.
    """
    if kind.name in INERT:
        return Opaque(kind.name)
    if kind.name == "collections.OrderedDict" and not arguments:
        return Mapping()
    raise rejection(
        "pickle_malformed", f"{kind.name} is made without being called, which torch.save never does."
    )


def read_storage(reference: Value, limits: Limits) -> StorageSpec:
    """Read a persistent id: ``('storage', type, key, location, elements[, view])``.

    Raises:
        CheckpointRejected: ``whole_module`` or ``pickle_malformed``.
    """
    items = reference.items if isinstance(reference, Sequence) and reference.kind == "tuple" else []
    if items and items[0] == "module":
        raise rejection("whole_module", "The file is a pickled module with its source code.")
    match items:
        case ["storage", Global(name=name), str(key), str(), int(elements)] if name in STORAGES:
            pass
        case ["storage", Global(name=name), str(key), str(), int(elements), None] if name in STORAGES:
            pass
        case _:
            raise rejection(
                "pickle_malformed", "A reference to a storage is not of the form that torch.save writes."
            )
    plain_key = key.isascii() and key.isdigit() and len(key) <= 20
    if not plain_key or isinstance(elements, bool) or not 0 <= elements <= limits.file_bytes:
        raise rejection("pickle_malformed", "A storage has a key that is no number, or an impossible length.")
    return StorageSpec(key, STORAGES[name], elements)


def _ordered_dict(arguments: list[Value], limits: Limits) -> Value:
    made = Mapping()
    match arguments:
        case []:
            return made
        case [Sequence(kind="list", items=pairs)]:  # how Python 2 wrote it
            for pair in pairs:
                # A set of two has no order that tells its key.
                if not isinstance(pair, Sequence) or pair.kind == "set" or len(pair.items) != 2:
                    raise rejection(
                        "pickle_malformed", "An OrderedDict is made of something other than pairs."
                    )
                insert(made, pair.items[0], pair.items[1], limits)
            return made
    raise rejection("pickle_malformed", "OrderedDict is called with arguments that no state dict needs.")


def _rebuild_tensor(arguments: list[Value], limits: Limits) -> Value:
    match arguments:
        case [
            StorageSpec() as storage,
            int(offset),
            Sequence(kind="tuple") as shape,
            Sequence(kind="tuple") as strides,
        ]:
            spec = TensorSpec(storage, _integer(offset), _integers(shape), _integers(strides))
            return check_tensor(spec, limits)
    raise rejection("pickle_malformed", "A tensor is made with arguments that torch does not write.")


def _rebuild_tensor_v2(arguments: list[Value], limits: Limits) -> Value:
    match arguments[4:]:
        case [bool(), Mapping(empty=True)] | [bool(), Mapping(empty=True), None | Mapping(empty=True)]:
            return _rebuild_tensor(arguments[:4], limits)
        case [bool(), Mapping(empty=True), Mapping()]:
            raise rejection("tensor_kind_unsupported", "A tensor is a lazily conjugated or negated view.")
    raise rejection("pickle_malformed", "A tensor is made with arguments that torch does not write.")


def _rebuild_parameter(arguments: list[Value], _limits: Limits) -> Value:
    match arguments:
        case [TensorSpec() as data, bool(), Mapping(empty=True)]:
            return data
    raise rejection("pickle_malformed", "A parameter is made with arguments that torch.save does not write.")


def _rebuild_parameter_with_state(arguments: list[Value], limits: Limits) -> Value:
    """Accept a parameter without attributes: torch sets each, and ``data`` or ``real`` are its weights."""
    match arguments:
        case [*made, None | Mapping(empty=True)]:
            return _rebuild_parameter(made, limits)
        case [*made, Sequence(kind="tuple", items=[None | Mapping(empty=True), None | Mapping(empty=True)])]:
            return _rebuild_parameter(made, limits)
        case [TensorSpec(), bool(), Mapping(), _]:
            raise rejection(
                "tensor_kind_unsupported",
                "A parameter has attributes of its own, which could replace its weights when it is loaded.",
                hint="Save model.state_dict() alone: its tensors have no attributes.",
            )
    raise rejection("pickle_malformed", "A parameter is made with arguments that torch.save does not write.")


_IMITATIONS: dict[str, Callable[[list[Value], Limits], Value]] = {
    "collections.OrderedDict": _ordered_dict,
    "torch._utils._rebuild_tensor": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor_v2,
    "torch._utils._rebuild_parameter": _rebuild_parameter,
    "torch._utils._rebuild_parameter_with_state": _rebuild_parameter_with_state,
}


def _check_scalar(arguments: list[Value]) -> None:
    """Refuse a scalar of other than bytes: of type object, older NumPy gives back what it was given."""
    match arguments:
        case [_, bytes() | str()]:
            return
        case [_, Opaque(name=name)] if name in BYTES:
            return
    raise rejection("pickle_malformed", "A NumPy scalar is made of other than bytes.")


def _check_buffer(arguments: list[Value]) -> None:
    """Refuse an array over other than bytes of its own: it would be another name for their memory."""
    match arguments:
        case [bytes(), Opaque(name="numpy.dtype"), Sequence(kind="tuple", any_weights=False), "C" | "F"]:
            return
    raise rejection("pickle_malformed", "A NumPy array is made of other than bytes.")


def check_attributes(state: Value) -> None:
    """Check what BUILD sets on a dict: a state dict's ``_metadata``, which holds versions of modules.

    Any other attribute could stand for one of the dict's own methods, and so for its entries. Other metadata
    could be acted on by ``load_state_dict``: with ``assign_to_params_buffers`` it takes the file's tensors
    themselves, so that those that share a storage stay tied in the user's network.

    Raises:
        CheckpointRejected: ``pickle_malformed``.
    """
    if not isinstance(state, Mapping) or state.unnamed or not state.entries.keys() <= {"_metadata"}:
        raise rejection("pickle_malformed", "A dict is given attributes other than a state dict's _metadata.")
    if not all(_maps(modules, _are_versions) for modules in state.entries.values()):
        raise rejection(
            "pickle_malformed",
            "A state dict's _metadata holds more than the versions of its modules, such as what "
            "load_state_dict(assign=True) leaves there.",
        )


def _is_version(_name: str, version: Value) -> bool:
    return type(version) is int


def _are_versions(_module: str, noted: Value) -> bool:
    return _maps(
        noted,
        lambda name, value: (
            (name == "version" and type(value) is int)
            # torch.nn.utils.spectral_norm notes a version for each parameter.
            or (name == "spectral_norm" and _maps(value, _is_version, most=_MOST_NOTED))
        ),
    )


def _maps(value: Value, fits: Callable[[str, Value], bool], most: int | None = None) -> bool:
    """Say whether a value maps text, of ``most`` entries, to what fits, and nothing else."""
    if not isinstance(value, Mapping) or value.unnamed or (most is not None and len(value.entries) > most):
        return False
    return all(starmap(fits, value.entries.items()))


def insert(target: Mapping, key: Value, value: Value, limits: Limits) -> None:
    """Put one entry into a mapping, as SETITEM does.

    Raises:
        CheckpointRejected: ``duplicate_key`` or ``nested_too_deep``.
    """
    if not isinstance(key, str):
        target.unnamed.append(value)
        target.called_keys += isinstance(key, Opaque)
    elif key in target.entries:
        raise rejection("duplicate_key", "A mapping in the file uses one name twice.")
    else:
        target.entries[key] = value
        target.tensors += isinstance(value, TensorSpec)
    hold(target, [key, value], limits)


def hold(target: Sequence | Mapping, items: list[Value], limits: Limits) -> None:
    """Note that ``target`` now holds ``items``: how deep that makes it, and whether weights may be in it.

    Raises:
        CheckpointRejected: ``nested_too_deep``; ``pickle_malformed`` if another container holds it already:
            pickles are written from the inside out, and only so are both known.
    """
    if target.inside:
        raise rejection("pickle_malformed", "A container grows after it was put into another.")
    for item in items:
        if isinstance(item, Sequence | Mapping):
            item.inside = True
            target.depth = max(target.depth, item.depth + 1)
        target.any_weights |= may_hold_weights(item)
    if target.depth > limits.nesting:
        raise rejection("nested_too_deep", f"Containers are nested more than {limits.nesting} deep.")


def may_hold_weights(value: Value) -> bool:
    """Say whether a tensor, or what a call makes, is the value or anywhere in it."""
    if isinstance(value, Sequence | Mapping):
        return value.any_weights
    if isinstance(value, Opaque):
        return value.name not in BYTES
    return isinstance(value, TensorSpec | StorageSpec)


def _integer(value: Value) -> int:
    if type(value) is not int:
        raise rejection("pickle_malformed", "A tensor's shape, stride or offset is not an integer.")
    return value


def _integers(values: Sequence) -> tuple[int, ...]:
    return tuple(_integer(value) for value in values.items)
