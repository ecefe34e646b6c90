"""The installation's own reference sets, as text: a job's process reads them, but cannot see the folder."""

from __future__ import annotations

import logging
from pathlib import Path

from app.core.reference_folder import MAX_FILES, reference_files

#: A set has no more bytes (``models.probes.calibration.read_set``, whose import would bring torch); 39
#: references have 10 kB.
MAX_BYTES = 2 * 1024 * 1024

logger = logging.getLogger(__name__)


def read_texts(folder: Path | None) -> dict[str, str]:
    """Read the first ``MAX_FILES`` files ``*.json`` of the folder, by name; skip what cannot be a set.

    Args:
        folder: ``PROCTOR_CALIBRATION_DIR``; None is an empty one.

    Raises:
        OSError: The folder, which was there when the worker started, cannot be read now. An audit would
            silently say less without it, so its job waits.
    """
    if folder is None:
        return {}
    texts, paths = {}, reference_files(folder)
    for path in paths[MAX_FILES:]:
        logger.warning("The reference set %s is skipped: it comes after the first %d.", path, MAX_FILES)
    for path in paths[:MAX_FILES]:
        try:
            if path.exists() and not path.is_file():
                raise ValueError("it is no file")  # a pipe would be waited for, with the job's database open
            if path.stat().st_size > MAX_BYTES:
                raise ValueError(f"it has more than {MAX_BYTES:,} bytes")
            texts[path.name] = path.read_text("utf-8")
        except (OSError, ValueError) as error:
            logger.warning("The reference set %s is skipped: %s", path, error)
    return texts
