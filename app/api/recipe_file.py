"""Write the page of all recipe fields: ``python -m app.api.recipe_file docs/recipe.md``."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from models.recipes.job import Recipe

Schema = Mapping[str, Any]

_HEAD = """# Fields of a recipe

Everything a job may be told, with defaults, limits and meanings. No field is required. On the command line
a field is set with `--set PLACE=VALUE`, as in `--set ood.images=1000000`, or in a file
(`--recipe recipe.json`); over HTTP the recipe is a part of [the job](http.md#start-a-job). A running service
tells the same as JSON Schema: `GET /v1/recipes`.

This page is written from the code by `python -m app.api.recipe_file docs/recipe.md`, and a test compares
the two.
"""
_TABLE = "| field | default | takes | meaning |\n| --- | --- | --- | --- |\n"


def page() -> str:
    """Return the page: a table of the job's own fields, and one for each part of the recipe."""
    adapter = TypeAdapter(Recipe)
    schema = adapter.json_schema()
    definitions, values = schema["$defs"], adapter.dump_python(Recipe(), mode="json")
    parts = {name: field for name, field in schema["properties"].items() if "$ref" in field}
    own = {name: field for name, field in schema["properties"].items() if name not in parts}
    sections = [
        _HEAD,
        "## The job\n",
        _TABLE + "\n".join(_rows({"properties": own}, definitions, "", values)),
    ]
    for name, field in parts.items():
        part = _definition(field, definitions)
        sections.append(f"\n## `{name}`\n\n{_prose(str(part.get('description', '')))}\n")
        sections.append(_TABLE + "\n".join(_rows(part, definitions, f"{name}.", values[name])))
    return "\n".join(sections) + "\n"


def _rows(schema: Schema, definitions: Schema, prefix: str, values: Schema) -> Iterator[str]:
    for name, field in schema["properties"].items():
        if "$ref" in field:
            yield from _rows(_definition(field, definitions), definitions, f"{prefix}{name}.", values[name])
            continue
        meaning = _prose(str(field.get("description", ""))).replace("|", "\\|")
        yield f"| `{prefix}{name}` | `{json.dumps(values[name])}` | {_takes(field)} | {meaning} |"


def _definition(field: Schema, definitions: Schema) -> Schema:
    found: Schema = definitions[field["$ref"].rpartition("/")[2]]
    return found


def _takes(field: Schema) -> str:
    """Say in words what a value may be."""
    if "anyOf" in field:
        return " or ".join(_takes(each) for each in field["anyOf"])
    if "enum" in field:
        return ", ".join(f"`{choice}`" for choice in field["enum"])
    if field["type"] == "array":
        return f"list of {_between(field, 'Items')}: {_takes(field['items'])}"
    if field["type"] == "string":
        return f"text of {_between(field, 'Length')} letters"
    if field["type"] in {"integer", "number"}:
        return f"{'whole number' if field['type'] == 'integer' else 'number'} {_interval(field)}"
    return {"boolean": "`true`, `false`", "null": "`null`"}[str(field["type"])]


def _between(field: Schema, what: str) -> str:
    return f"{field.get(f'min{what}', 0)} to {field[f'max{what}']}"


def _interval(field: Schema) -> str:
    low = (
        f"from {_number(field['minimum'])}"
        if "minimum" in field
        else f"above {_number(field['exclusiveMinimum'])}"
    )
    high = (
        f"to {_number(field['maximum'])}"
        if "maximum" in field
        else f"below {_number(field['exclusiveMaximum'])}"
    )
    return f"{low} {high}"


def _number(value: float) -> str:
    return f"{int(value):,}" if value == int(value) else f"{value:g}"


def _prose(text: str) -> str:
    """Put a docstring onto one line of Markdown."""
    return re.sub(r"\s+", " ", text.replace("``", "`")).strip()


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
