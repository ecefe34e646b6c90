"""Catalogs on the wire: recipes, architectures, probes."""

from __future__ import annotations

from typing import Any

from app.schemas.base import Wire


class RecipeSchema(Wire):
    """One recipe as JSON Schema."""

    name: str
    """Field of the job's recipe, or ``job`` for the recipe as a whole."""
    description: str
    json_schema: dict[str, Any]
    """JSON Schema (2020-12) with the default, limits and meaning of every field."""
    defaults: dict[str, Any]
    """The recipe that an empty object means."""


class Architecture(Wire):
    """A family of networks."""

    name: str
    pattern: str
    """How names of this family are formed."""
    examples: list[str]
    description: str
    input_sizes: str
    """Which sides of the square input it takes."""


class Probe(Wire):
    """A probe, described for a reader who does not know it."""

    name: str
    title: str
    question: str
    """What the probe asks the network."""
    needs: str
    """The least it can run on."""
    uses: list[str]
    """What makes it stronger when given."""
    gives: str
    blind_to: str
    """What it cannot see."""
    cost: str
    source: str


class RecipeList(Wire):
    """All recipes."""

    data: list[RecipeSchema]


class ArchitectureList(Wire):
    """All families."""

    data: list[Architecture]


class ProbeList(Wire):
    """All probes."""

    data: list[Probe]
