"""Which mapping in a checkpoint is the model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from models.checkpoints.codes import printable, rejection
from models.checkpoints.limits import TENSOR_NAME, Limits, require_at_most
from models.checkpoints.other_networks import require_no_twin, warn_of_lookalikes
from models.checkpoints.pickle_calls import may_hold_weights
from models.checkpoints.pickle_values import Mapping, Value
from models.checkpoints.tensor_spec import TensorSpec

#: Under these names training scripts keep the weights; anything else needs a declaration unless it is alone.
KNOWN_KEYS = (
    *("state_dict", "model", "net", "model_state_dict", "model_state", "ema", "student", "teacher"),
    *("state_dict_ema", "model_ema", "ema_state_dict", "ema_model", "params", "params_ema"),
)
_PREFIXES = ("module.", "_orig_mod.")


@dataclass(frozen=True, slots=True)
class SelectedStateDict:
    """The weights of a checkpoint, by parameter name without wrapper prefixes."""

    tensors: dict[str, TensorSpec]
    key: str | None
    """Where it was found; None at the top."""
    stripped_prefix: str | None
    dropped: tuple[str, ...]
    """Names of the entries beside it."""
    warnings: tuple[str, ...]


def select_state_dict(root: Value, limits: Limits, *, key: str | None) -> SelectedStateDict:
    """Find the one mapping that holds tensors only.

    Args:
        root: What the file holds.
        limits: Bounds on number and names of tensors.
        key: The user's declaration: a name at the top, or a dotted path of names.

    Raises:
        CheckpointRejected: ``state_dict_not_found``, ``state_dict_ambiguous``, ``state_dict_key_not_found``,
            ``limit_exceeded``, ``key_invalid`` or ``duplicate_key``: a mapping around the weights has a key
            that only a call would tell.
    """
    candidates = _candidates(root)
    warnings: tuple[str, ...] = ()
    if key is not None:
        found = _declared(root, candidates, key)
    elif None in candidates:
        found = None
    else:
        known = [name for name in KNOWN_KEYS if name in candidates]
        found = _only(known or [name for name in candidates if name is not None], root)
        if not known:
            warnings = (
                f"The weights were taken from {printable(found)!r}, the only entry that holds tensors alone.",
            )
    if found is not None:
        _entry(root, found)
        if key is None:
            _require_unrivaled(root, found, candidates)
            require_no_twin(root, found, candidates[found])
            warnings += warn_of_lookalikes(root, found, candidates[found])
    selected = candidates[found]
    require_at_most(len(selected.entries), limits.tensors, "number of tensors")
    named = {name: entry for name, entry in selected.entries.items() if isinstance(entry, TensorSpec)}
    _check_names(named)
    tensors, prefix = _strip_prefix(named)
    _check_names(tensors)
    return SelectedStateDict(tensors, found, prefix, _dropped(root, found), warnings)


def _check_names(names: Iterable[str]) -> None:
    for name in names:
        if not TENSOR_NAME.fullmatch(name):
            raise rejection("key_invalid", f"A tensor has the name {printable(name)!r}.")


def _candidates(root: Value) -> dict[str | None, Mapping]:
    if not isinstance(root, Mapping):
        return {}
    if root.is_state_dict:
        return {None: root}
    entries = root.entries.items()
    return {name: entry for name, entry in entries if isinstance(entry, Mapping) and entry.is_state_dict}


def _declared(root: Value, candidates: dict[str | None, Mapping], key: str) -> str:
    node: Value = root
    if key not in candidates:
        for name in key.split("."):
            node = _entry(node, name)
        if not isinstance(node, Mapping) or not node.is_state_dict:
            there = ", ".join(printable(name) for name in candidates if name is not None)
            at_top = (
                "The weights lie at the top of the file."
                if None in candidates
                else "No entry holds tensors alone."
            )
            raise rejection(
                "state_dict_key_not_found",
                f"{printable(key)!r} is not a state dict in this file. "
                + (f"Candidates: {there}." if there else at_top),
            )
        candidates[key] = node
    return key


def _entry(node: Value, name: str) -> Value:
    """Look a name up where it can only mean one entry."""
    if not isinstance(node, Mapping):
        return None
    if node.called_keys:
        raise rejection(
            "duplicate_key",
            "A mapping around the weights has a key that a call makes: it may be one of its names again.",
        )
    return node.entries.get(name)


def _only(names: list[str], root: Value) -> str:
    if not names:
        kind = "a mapping whose entries are not all tensors" if isinstance(root, Mapping) else "not a mapping"
        raise rejection("state_dict_not_found", f"The file holds {kind}, and no state dict under a name.")
    if len(names) > 1:
        raise rejection(
            "state_dict_ambiguous", f"Several entries hold weights: {', '.join(map(printable, names[:20]))}."
        )
    return names[0]


def _require_unrivaled(root: Value, found: str, candidates: dict[str | None, Mapping]) -> None:
    """Refuse if another known name holds weights too, but not tensors alone.

    A training script would load those: they may be what the user's own program takes.
    """
    for name in KNOWN_KEYS:
        if name not in candidates and may_hold_weights(_entry(root, name)):
            raise rejection(
                "state_dict_ambiguous",
                f"{printable(found)!r} holds tensors alone, but {name!r} may hold weights, too, in a form "
                "that is not read.",
                hint=f"If {printable(found)!r} is the model, set state_dict_key to it; otherwise "
                "save model.state_dict() alone.",
            )


def _strip_prefix(tensors: dict[str, TensorSpec]) -> tuple[dict[str, TensorSpec], str | None]:
    """Remove what DataParallel and torch.compile put before every name."""
    stripped = ""
    while True:
        prefix = next((one for one in _PREFIXES if all(name.startswith(one) for name in tensors)), None)
        if prefix is None:
            return tensors, stripped or None
        tensors = {name.removeprefix(prefix): spec for name, spec in tensors.items()}
        stripped += prefix


def _dropped(root: Value, found: str | None) -> tuple[str, ...]:
    if found is None or not isinstance(root, Mapping):
        return ()
    names = tuple(printable(name) for name in root.entries if name != found)
    return names + ((f"{len(root.unnamed)} entries whose names are not text",) if root.unnamed else ())
