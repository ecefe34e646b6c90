"""What a layer list is called, and what is said about it in a sentence."""

from __future__ import annotations

import hashlib
import json
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from models.recipes.architecture import ArchitectureSpec
from models.recipes.layer_list.resolve import resolve
from models.recipes.layer_list.vocabulary import LayerList

#: Registry names never begin so; twelve digits of the description's hash follow.
PREFIX = "layers-"
_PLURALS = (
    ("conv", "convolution"),
    ("batch_norm", "BatchNorm"),
    ("group_norm", "GroupNorm"),
    ("layer_norm", "LayerNorm"),
    ("linear", "linear layer"),
    ("residual", "residual block"),
    ("concat", "concat block"),
    ("scale", "scale block"),
)


def document(described: Any) -> Any:
    """Return a layer list as plain JSON values, without fields that have their defaults."""
    if isinstance(described, tuple):
        return [document(part) for part in described]
    if not is_dataclass(described):
        return described
    values = ((field, getattr(described, field.name)) for field in fields(described))
    return {
        field.name: document(value)
        for field, value in values
        if field.default is MISSING or value != field.default
    }


def layers_sha256(described: LayerList) -> str:
    """Hash a layer list by its meaning: neither blanks nor defaults written out count."""
    text = json.dumps(document(described), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def spec_of(described: LayerList) -> ArchitectureSpec:
    """Return the architecture that a layer list describes.

    Raises:
        CheckpointRejected: If its layers do not fit together; see ``resolve``.
    """
    classes = resolve(described).num_classes
    return ArchitectureSpec(
        f"{PREFIX}{layers_sha256(described)[:12]}", classes, described.input_size, described
    )


def summary(described: LayerList) -> str:
    """Describe a layer list in one sentence for people."""
    resolved = resolve(described)
    parts = [
        f"{count} {word}{'' if count == 1 else 's'}"
        for kind, word in _PLURALS
        if (count := resolved.counts.get(kind, 0))
    ]
    stages = ", ".join(" x ".join(map(str, shape)) for shape in resolved.cut.shapes)
    said = "marked by the user" if resolved.cut.marked else "cut where the map's size changes"
    return f"{', '.join(parts)}; stages of {stages}, {said}."
