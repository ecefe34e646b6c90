"""Layer lists on the wire: from JSON text of anyone's to a network that fits together."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from models.checkpoints.codes import printable
from models.errors import CheckpointRejected
from models.recipes.layer_list.limits import MAX_TEXT_BYTES
from models.recipes.layer_list.refusals import refused
from models.recipes.layer_list.resolve import resolve
from models.recipes.layer_list.vocabulary import LayerList

LAYER_LIST = TypeAdapter(LayerList)
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_EXPECTED = "Input should be "


def layer_list_schema() -> dict[str, Any]:
    """Return the JSON Schema of layer lists. That layers fit together is beyond it; ``resolve`` checks it."""
    return {"$schema": _DIALECT, **LAYER_LIST.json_schema()}


def read_layer_list(text: str) -> LayerList:
    """Read and check a layer list; nothing of the checkpoint is needed for it.

    Types are strict: a number in quotes, a fraction for a whole number or ``true`` for 1 is refused, and so
    are unknown and repeated fields.

    Raises:
        CheckpointRejected: With one of ``refusals.LAYER_LIST_CODES``; the detail names the layer by its path.
    """
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_TEXT_BYTES:
        raise refused(
            "layers_limit_exceeded",
            f"The layer list has {size:,} bytes; at most {MAX_TEXT_BYTES:,} are read.",
        )
    try:
        json.loads(text, object_pairs_hook=_without_repetition, parse_constant=_no_constant)
        described = LAYER_LIST.validate_json(text, strict=True)
    except ValidationError as error:
        raise _refusal(error.errors(include_url=False)) from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:  # the parser's own words, which hold places but nothing of the text
        raise refused("layers_invalid", f"The layer list cannot be read as JSON: {error}.") from None
    resolve(described)
    return described


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if name in fields:
            raise refused(
                "layers_invalid", f"The layer list has the field {printable(name)!r} twice in one place."
            )
        fields[name] = value
    return fields


def _no_constant(name: str) -> Any:
    raise refused("layers_invalid", f"The layer list holds {name}, which is no number.")


def _refusal(errors: Sequence[Mapping[str, Any]]) -> CheckpointRejected:
    if errors[0]["type"] == "json_invalid" and "recursion" in errors[0]["msg"]:
        return _too_deep()
    return refused("layers_invalid", _sentence(errors))


def _too_deep() -> CheckpointRejected:
    return refused("layers_limit_exceeded", "The layer list is nested too deep to be read.")


def _sentence(errors: Sequence[Mapping[str, Any]]) -> str:
    """Tell the first thing that is wrong, with all that could have stood there, and how many others."""
    paths = [_path(error["loc"]) for error in errors]
    # Where a number or a pair may stand and a pair does, the pair's own fault is meant.
    first = next((path for path in paths if path.startswith(f"{paths[0]}[")), paths[0])
    here = [error for error, path in zip(errors, paths, strict=True) if path == first]
    words = list(dict.fromkeys(_words(error) for error in here))
    return f"{first or 'The layer list'} {', or '.join(words)}."


def _words(error: Mapping[str, Any]) -> str:
    if error["type"] == "union_tag_invalid":
        return f"has the type {printable(str(error['ctx']['tag']), length=40)!r}, which there is not"
    if error["type"] == "union_tag_not_found":
        return "has no type"
    if error["type"] == "unexpected_keyword_argument":
        return "is not a field of this layer"
    if error["type"] in {"missing", "missing_argument"}:
        return "is missing"
    message = str(error["msg"])
    return (
        f"should be {message.removeprefix(_EXPECTED)}"
        if message.startswith(_EXPECTED)
        else f"is wrong: {message}"
    )


def _path(location: Iterable[int | str]) -> str:
    """Write Pydantic's location without the types and alternatives that it has between fields."""
    path = ""
    inside = "list"
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
            inside = "entry" if inside == "field" else inside
        elif inside == "entry":  # the layer's type
            inside = "list"
        elif inside == "list":
            path += f"{'.' if path else ''}{printable(part, length=40)}"
            inside = "field"
        else:  # one of several forms that the field may have
            inside = "form"
    return path


if __name__ == "__main__":  # python -m app.schemas.layers docs/layer-list.schema.json
    Path(sys.argv[1]).write_text(json.dumps(layer_list_schema(), indent=1) + "\n", encoding="utf-8")
