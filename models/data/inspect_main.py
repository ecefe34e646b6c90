"""The archive's parser process, ``python -I -m models.data.inspect_main``: one JSON request, one answer.

The request is ``{"path", "out_path", "role", "limits"}``, the last with the fields of ``ArchiveLimits``; the
answer is as in ``checkpoints.inspect_main``. NumPy and Pillow are the only libraries it imports.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from models.checkpoints.child import Document, answer_request, bound_process
from models.checkpoints.limits import MEBIBYTE
from models.data.archive import inspect_dataset
from models.data.limits import ArchiveLimits


def inspect_request(request: Document) -> Document:
    """Handle one request; see the module."""
    limits = ArchiveLimits(**request["limits"])
    bound_process(
        cpu_s=limits.cpu_s, memory_bytes=limits.memory_bytes, file_bytes=limits.decoded_bytes + 16 * MEBIBYTE
    )
    made = inspect_dataset(Path(request["path"]), Path(request["out_path"]), request["role"], limits=limits)
    return asdict(made)


if __name__ == "__main__":
    answer_request(inspect_request)
