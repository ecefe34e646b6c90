"""The folder of the installation's own reference sets."""

from __future__ import annotations

import os
from pathlib import Path

#: Of them audits read the first, by name; more is no folder of reference sets.
MAX_FILES = 64


def reference_files(folder: Path) -> list[Path]:
    """List the files ``*.json`` of ``PROCTOR_CALIBRATION_DIR``, by name.

    Raises:
        OSError: The folder is missing or may not be read; a Path's glob would take it for empty.
    """
    return sorted(folder / name for name in os.listdir(folder) if name.endswith(".json"))  # noqa: PTH208
