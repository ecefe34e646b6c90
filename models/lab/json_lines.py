"""Results in a file, one JSON document per line, appended as soon as each is known.

A run that is killed while it writes leaves a torn last line; it is ignored, and the next line begins anew.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def append_line(path: Path, document: object) -> None:
    """Add a document; it is on the disk when this returns.

    Args:
        path: Of the file; made if need be, with its folder.
        document: What JSON can hold; dictionaries are sorted.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(document, sort_keys=True).encode()
    with path.open("a+b") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write(line + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read_lines(path: Path) -> Iterator[Any]:
    """Yield every document that is whole; a missing file has none."""
    if not path.exists():
        return
    for line in path.read_text("utf-8", "replace").splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            continue
