"""The parser process: ``python -I -m models.checkpoints.inspect_main``, one JSON request in, one answer out.

The request is ``{"path", "out_path", "options", "limits", "sandbox", "outside", "table"}``: the third and
fourth have the fields of ``InspectOptions`` (but no ``layers``) and ``Limits``, the fifth is a
``sandbox.profiles.Mode``; ``outside`` is null or from ``declared.outside_table``, ``table`` null or the
``DescribedTable`` of a layer list. The answer is ``{"accepted": inspection}``, ``{"rejected": {"code",
"detail", "hint"}}`` or ``{"stopped": detail, "limit": bool}``. NumPy is the only library it imports.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

from models.checkpoints.child import Document, answer_request, lock_in
from models.checkpoints.described import DescribedTable
from models.checkpoints.digest import Digester
from models.checkpoints.inspect import InspectOptions, inspect_checkpoint
from models.checkpoints.layouts.outside import OutsideFamily
from models.checkpoints.limits import MEBIBYTE, Limits
from models.sandbox.bounds import Bounds


def inspect_request(request: Document) -> Document:
    """Handle one request; see the module."""
    limits = Limits(**request["limits"])
    path, out_path = Path(request["path"]), Path(request["out_path"])
    bounds = Bounds(
        cpu_s=limits.cpu_s,
        memory_bytes=limits.memory_bytes + 2 * min(path.stat().st_size, limits.file_bytes),
        file_bytes=limits.materialized_bytes + MEBIBYTE,
        open_files=limits.open_files,
    )
    digester = Digester()
    warnings = lock_in(request, read=path, write=out_path.parent, bounds=bounds, last_thread=digester.start)
    options = InspectOptions(**request["options"])
    outside = OutsideFamily(request["outside"]) if request.get("outside") else None
    table = DescribedTable.from_json(request["table"]) if request.get("table") else None
    made = inspect_checkpoint(
        path, out_path, options, limits=limits, digester=digester, outside=outside, table=table
    )
    return asdict(replace(made, warnings=(*made.warnings, *warnings)))


if __name__ == "__main__":
    answer_request(inspect_request)
