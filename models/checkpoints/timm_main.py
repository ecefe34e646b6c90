"""The side process that knows timm: ``python -I -m models.checkpoints.timm_main``.

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
import tempfile
import warnings
from pathlib import Path

from models.checkpoints.child import Document, answer_request
from models.sandbox.bounds import Bounds
from models.sandbox.profiles import TRAIN, confine, seal

_BOUNDS = Bounds(file_bytes=0, open_files=256)


def describe_request(request: Document) -> Document:
    """Handle one request; see the module.

    What the sandbox lacks on this machine is no reason to stop: nothing untrusted is read here.
    """
    tempfile.tempdir = request["scratch"]
    confine(write=[Path(request["scratch"])])
    warnings.simplefilter("ignore")  # timm's own, about its own code
    timm_table = importlib.import_module("models.checkpoints.timm_table")
    timm_table.load_library()  # before the limits; it brings threads along
    seal(TRAIN, _BOUNDS)
    table: Document = timm_table.table_of(
        request["architecture"],
        request["input_size"],
        tensors=request["tensors"],
        materialized_bytes=request["materialized_bytes"],
    )
    return table


if __name__ == "__main__":
    answer_request(describe_request)
