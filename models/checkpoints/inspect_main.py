"""The parser process: ``python -I -m models.checkpoints.inspect_main``, one JSON request in, one answer out.

The request is ``{"path", "out_path", "options", "limits"}``, the last two with the fields of
``InspectOptions`` and ``Limits``. The answer is ``{"accepted": inspection}``,
``{"rejected": {"code", "detail", "hint"}}`` or ``{"stopped": detail, "limit": bool}``. NumPy is the only
library it imports.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from models.checkpoints.child import Document, answer_request, bound_process
from models.checkpoints.inspect import InspectOptions, inspect_checkpoint
from models.checkpoints.limits import MEBIBYTE, Limits


def inspect_request(request: Document) -> Document:
    """Handle one request; see the module."""
    limits = Limits(**request["limits"])
    path = Path(request["path"])
    bound_process(
        cpu_s=limits.cpu_s,
        memory_bytes=limits.memory_bytes + 2 * min(path.stat().st_size, limits.file_bytes),
        file_bytes=limits.materialized_bytes + MEBIBYTE,
    )
    options = InspectOptions(**request["options"])
    return asdict(inspect_checkpoint(path, Path(request["out_path"]), options, limits=limits))


if __name__ == "__main__":
    answer_request(inspect_request)
