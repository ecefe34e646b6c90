"""Recipes out of JSON without Pydantic, for programs that are not the service."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union

from annotated_types import BaseMetadata, Ge, GroupedMetadata, Gt, Le, Lt, MaxLen, MinLen

from models.errors import RecipeError

T = TypeVar("T")


def recipe_from(cls: type[T], document: object, *, place: str = "recipe") -> T:
    """Build a recipe from what a JSON parser returned; fields that are left out take their defaults.

    Args:
        cls: A recipe of booleans, numbers, strings, literals, optional values and further recipes.
        document: A mapping of field names.
        place: How errors call it.

    Raises:
        RecipeError: ``recipe_invalid`` if a field is unknown, of the wrong type or out of its limits.
    """
    if not isinstance(document, Mapping):
        raise RecipeError(f"{place} is not an object.")
    known = typing.get_type_hints(cls, include_extras=True)
    unknown = sorted(set(document) - {field.name for field in fields(typing.cast(Any, cls))})
    if unknown:
        raise RecipeError(f"{place} has no field {unknown[0]!r}.", hint=f"It has {', '.join(sorted(known))}.")
    return cls(**{name: _value(known[name], value, f"{place}.{name}") for name, value in document.items()})


def _value(wanted: Any, value: object, place: str) -> object:
    origin = typing.get_origin(wanted)
    if origin is Annotated:
        inner, *metadata = typing.get_args(wanted)
        made = _value(inner, value, place)
        for limit in _flat(metadata):
            _check(limit, made, place)
        return made
    if origin in (Union, UnionType):
        return _optional(typing.get_args(wanted), value, place)
    if origin is Literal:
        choices = typing.get_args(wanted)
        if value not in choices:
            raise RecipeError(f"{place} is {value!r}.", hint=f"It may be {', '.join(map(str, choices))}.")
        return value
    if is_dataclass(wanted):
        return recipe_from(typing.cast(type, wanted), value, place=place)
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return _real(value, place)
    if type(value) is not wanted:
        raise RecipeError(f"{place} is {value!r}, which is no {wanted.__name__}.")
    return value


def _real(value: int, place: str) -> float:
    try:
        return float(value)
    except OverflowError:
        raise RecipeError(f"{place} is a number of {value.bit_length():,} bits, out of all limits.") from None


def _optional(choices: tuple[Any, ...], value: object, place: str) -> object:
    if value is None and NoneType in choices:
        return None
    (wanted,) = (choice for choice in choices if choice is not NoneType)
    return _value(wanted, value, place)


def _flat(metadata: list[Any]) -> list[BaseMetadata]:
    limits: list[BaseMetadata] = []
    for entry in metadata:
        limits += entry if isinstance(entry, GroupedMetadata) else [entry]  # type: ignore[arg-type]
    return limits


def _check(limit: BaseMetadata, value: Any, place: str) -> None:
    if value is None:
        return
    holds = {
        Ge: lambda: value >= limit.ge,  # type: ignore[attr-defined]
        Gt: lambda: value > limit.gt,  # type: ignore[attr-defined]
        Le: lambda: value <= limit.le,  # type: ignore[attr-defined]
        Lt: lambda: value < limit.lt,  # type: ignore[attr-defined]
        MinLen: lambda: len(value) >= limit.min_length,  # type: ignore[attr-defined]
        MaxLen: lambda: len(value) <= limit.max_length,  # type: ignore[attr-defined]
    }
    # NaN compares false and so is refused.
    if not holds[type(limit)]():
        raise RecipeError(f"{place} is {value!r}, out of its limits ({limit}).")
