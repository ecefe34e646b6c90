"""The side process that knows timm: ``python -I -m models.checkpoints.timm_table``.

The parser of uploads imports NumPy only, so it cannot ask timm which tensors a declared ``timm-NAME`` has.
This process can: it is given the name and no byte of the upload, builds the network without memory for its
weights, and answers with the table that the parser then compares the file with. It enters the sandbox first,
so that timm reads no file but libraries, opens no connection and starts no program.

The request is ``{"architecture", "input_size", "tensors", "materialized_bytes", "scratch"}``: a name, a size
or null, two bounds, and an empty folder for what libraries insist on. The answer has the form of
``child.answer_request``; what was accepted is what ``layouts.outside.OutsideFamily`` reads.
"""

from __future__ import annotations

import importlib
import math
import tempfile
import warnings
from dataclasses import asdict
from pathlib import Path

from models.checkpoints.child import Document, answer_request
from models.checkpoints.codes import rejection
from models.errors import RecipeError
from models.recipes.architecture import MAX_INPUT_SIZE
from models.recipes.blueprints.timm import PREFIX, is_timm_name
from models.sandbox.bounds import Bounds
from models.sandbox.profiles import TRAIN, confine, seal

_BOUNDS = Bounds(file_bytes=0, open_files=256)
#: A weight takes at least so many bytes in a file: float16.
_LEAST_BYTES = 2
_CODES = {"input_size_unsupported": "architecture_mismatch"}


def describe_timm(request: Document) -> Document:
    """Handle one request; see the module.

    Raises:
        CheckpointRejected: ``architecture_unavailable``, ``architecture_unknown``, ``architecture_mismatch``
            (an input size the network does not take) or ``limit_exceeded``.
    """
    name = str(request["architecture"])
    if not is_timm_name(name):
        raise rejection("architecture_unknown", "A name of timm's has lower-case letters, digits and _ only.")
    tempfile.tempdir = request["scratch"]
    confine(write=[Path(request["scratch"])])
    warnings.simplefilter("ignore")  # timm's own, about its own code
    timm_networks = importlib.import_module("models.architectures.timm_networks")
    library_table = importlib.import_module("models.checkpoints.library_table")
    try:
        known = timm_networks.configuration(name.removeprefix(PREFIX))
        seal(TRAIN, _BOUNDS)
        size = request["input_size"] or known.input_size
        if size is None:
            raise rejection(
                "architecture_mismatch",
                f"timm's configuration of {name} is for images that are not square, or of more than "
                f"{MAX_INPUT_SIZE} pixels a side.",
                hint="Declare the input_size that the network was trained with.",
            )
        _require_room(library_table.shapes_of(name, size), request)
        entry = library_table.describe(name, size, [size])
    except RecipeError as error:
        raise rejection(_CODES.get(error.code, error.code), error.detail, hint=error.hint) from None
    return {
        "name": name,
        "entry": entry,
        "input_size": size,
        "fixed_size": known.fixed_size,
        "normalization": asdict(known.normalization),
    }


def _require_room(shapes: dict[str, list[int]], request: Document) -> None:
    """Refuse a network of which no file could be accepted, before its costs are counted."""
    values = sum(map(math.prod, shapes.values()))
    if len(shapes) > request["tensors"] or values * _LEAST_BYTES > request["materialized_bytes"]:
        raise rejection(
            "limit_exceeded",
            f"This network has {len(shapes):,} tensors and {values:,} values; at most {request['tensors']:,} "
            f"tensors and {request['materialized_bytes']:,} bytes are accepted.",
            hint="Choose a smaller network; the operator can raise the limits.",
        )


if __name__ == "__main__":
    answer_request(describe_timm)
