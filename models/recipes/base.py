"""How every recipe is declared: a frozen dataclass whose limits travel with its fields."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")

#: Read by Pydantic when the service builds its adapter; means nothing to the library itself. A dictionary
#: rather than Pydantic's own type, because this package does not import Pydantic.
ADAPTER_CONFIG: dict[str, object] = {"extra": "forbid", "use_attribute_docstrings": True}


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def recipe(cls: type[T]) -> type[T]:
    """Make ``cls`` a frozen dataclass that refuses unknown fields wherever it is parsed."""
    made = dataclass(frozen=True)(cls)
    made.__pydantic_config__ = ADAPTER_CONFIG  # type: ignore[attr-defined]
    return made


__all__ = ["ADAPTER_CONFIG", "recipe"]
