"""What a stored piece of work was made of, so that a later run knows whether it may be taken."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields, is_dataclass
from typing import Any


def digest(value: Any) -> str:
    """Return ten hexadecimal digits of recipes, fields at their defaults left out.

    So a field that is added later, at a default that means what was done before, changes no digest. A default
    that changes would go unnoticed here; ``still_holds`` notices it.
    """
    text = json.dumps(_sparse(value), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def document(value: Any) -> dict[str, Any]:
    """Return recipes as JSON has them, whole."""
    return dict(json.loads(json.dumps(value, default=asdict)))


def still_holds(made_of: object, wanted: object) -> bool:
    """Tell whether everything that ``made_of`` says is so in ``wanted``, which may say more."""
    if not isinstance(made_of, Mapping) or not isinstance(wanted, Mapping):
        return made_of == wanted
    return all(key in wanted and still_holds(value, wanted[key]) for key, value in made_of.items())


def _sparse(value: Any) -> Any:
    if is_dataclass(value):
        present = ((each.name, getattr(value, each.name), each) for each in fields(value))
        return {name: _sparse(held) for name, held, each in present if held != _default(each)}
    if isinstance(value, Mapping):
        return {name: _sparse(held) for name, held in value.items()}
    return [_sparse(each) for each in value] if isinstance(value, list | tuple) else value


def _default(of: Any) -> Any:
    return of.default if of.default_factory is MISSING else of.default_factory()
