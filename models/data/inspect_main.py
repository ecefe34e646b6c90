"""The archive's parser process, ``python -I -m models.data.inspect_main``: one JSON request, one answer.

The request is ``{"path", "out_path", "role", "limits", "sandbox"}``, with the fields of ``ArchiveLimits``
and a ``sandbox.profiles.Mode``; the answer is as in ``checkpoints.inspect_main``. NumPy and Pillow are the
only libraries it imports.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

from models.checkpoints.child import Document, answer_request, lock_in
from models.checkpoints.limits import MEBIBYTE
from models.data.archive import inspect_dataset
from models.data.limits import ArchiveLimits
from models.sandbox.bounds import Bounds


def inspect_request(request: Document) -> Document:
    """Handle one request; see the module."""
    limits = ArchiveLimits(**request["limits"])
    path, out_path = Path(request["path"]), Path(request["out_path"])
    bounds = Bounds(
        cpu_s=limits.cpu_s,
        memory_bytes=limits.memory_bytes + min(path.stat().st_size, limits.file_bytes),
        file_bytes=limits.decoded_bytes + 16 * MEBIBYTE,
        open_files=limits.open_files,
    )
    warnings = lock_in(request, read=path, write=out_path.parent, bounds=bounds)
    made = inspect_dataset(path, out_path, request["role"], limits=limits)
    return asdict(replace(made, warnings=(*made.warnings, *warnings)))


if __name__ == "__main__":
    answer_request(inspect_request)
