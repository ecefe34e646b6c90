"""What there is: recipes, architectures, probes."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any, get_type_hints

from fastapi import APIRouter
from pydantic import TypeAdapter
from starlette.responses import JSONResponse

from app.api.deps import Reader
from app.api.openapi import COMMON
from app.schemas.catalog import Architecture, ArchitectureList, Probe, ProbeList, RecipeList, RecipeSchema
from app.schemas.layers import layer_list_schema
from models.recipes.architecture_catalog import known_architectures
from models.recipes.job import Recipe
from models.recipes.probe_catalog import NASTY_PROBES, PROBES

router = APIRouter(prefix="/v1", tags=["catalog"])


class SchemaResponse(JSONResponse):
    """A JSON Schema."""

    media_type = "application/schema+json"


def _recipe_schema(name: str, recipe: type[Any]) -> RecipeSchema:
    adapter = TypeAdapter(recipe)
    return RecipeSchema(
        name=name,
        description=inspect.cleandoc(recipe.__doc__ or ""),
        json_schema=adapter.json_schema() | {"$schema": "https://json-schema.org/draft/2020-12/schema"},
        defaults=adapter.dump_python(recipe(), mode="json"),
    )


@router.get("/recipes", operation_id="list_recipes", summary="What a job can be told", responses=COMMON)
def list_recipes(caller: Reader) -> RecipeList:  # noqa: ARG001 - any key may look
    """Return the job's recipe and each of its parts as JSON Schema, with defaults, limits and meanings."""
    hints = get_type_hints(Recipe)
    parts = [(field.name, hints[field.name]) for field in dataclasses.fields(Recipe)]
    nested = [
        _recipe_schema(name, kind)
        for name, kind in parts
        if isinstance(kind, type) and dataclasses.is_dataclass(kind)
    ]
    return RecipeList(data=[_recipe_schema("job", Recipe), *nested])


@router.get("/architectures", operation_id="list_architectures", summary="Known networks", responses=COMMON)
def list_architectures(caller: Reader) -> ArchitectureList:  # noqa: ARG001 - any key may look
    """Return the families of networks that teachers and students may belong to."""
    return ArchitectureList(data=[Architecture.model_validate(family) for family in known_architectures()])


@router.get("/probes", operation_id="list_probes", summary="Known probes", responses=COMMON)
def list_probes(caller: Reader) -> ProbeList:  # noqa: ARG001 - any key may look
    """Return what each probe asks, needs, gives and cannot see."""
    return ProbeList(data=[Probe.model_validate(facts) for facts in (*PROBES, *NASTY_PROBES)])


@router.get(
    "/schemas/layer-list",
    operation_id="get_layer_list_schema",
    summary="How to describe a network",
    response_class=SchemaResponse,
    responses=COMMON,
)
def get_layer_list_schema(caller: Reader) -> SchemaResponse:  # noqa: ARG001 - any key may look
    """Return the JSON Schema of layer lists, which describe teachers that are no registry networks."""
    return SchemaResponse(layer_list_schema())
