"""Who is asking."""

from __future__ import annotations

from dataclasses import dataclass

from app.core.states import Scope


@dataclass(frozen=True)
class Principal:
    """The holder of a key."""

    tenant: str
    scopes: frozenset[Scope]
    key_id: str

    def may(self, scope: Scope) -> bool:
        """Whether the key covers ``scope``; ``admin`` covers everything."""
        return scope in self.scopes or Scope.ADMIN in self.scopes
