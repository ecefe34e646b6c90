"""The student's architecture."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Len

from models.recipes.base import recipe


@recipe
class StudentRecipe:
    """Which network learns."""

    architecture: Annotated[str, Len(1, 64)] | None = None
    """Registry name. None takes a smaller network: of the teacher's family, or one like ``wrn-16-1``."""
