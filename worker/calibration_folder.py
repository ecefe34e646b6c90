"""The installation's own reference sets, as text: a job's process reads them, but cannot see the folder."""

from __future__ import annotations

import logging
from pathlib import Path

#: More is no folder of reference sets; each may have 1 MiB, and 39 references have 10 kB.
MAX_FILES, MAX_BYTES = 64, 1024 * 1024

logger = logging.getLogger(__name__)


def read_texts(folder: Path | None) -> dict[str, str]:
    """Read the first ``MAX_FILES`` files ``*.json`` of the folder, by name; skip what cannot be a set.

    Args:
        folder: ``PROCTOR_CALIBRATION_DIR``; None is an empty one. One that is missing is, too: an audit
            without references still says what it found, and that it had none; the log names it.
    """
    if folder is None:
        return {}
    if not folder.is_dir():
        logger.warning("There is no folder %s of reference sets.", folder)
    texts, paths = {}, sorted(folder.glob("*.json"))
    for path in paths[MAX_FILES:]:
        logger.warning("The reference set %s is skipped: it comes after the first %d.", path, MAX_FILES)
    for path in paths[:MAX_FILES]:
        try:
            if path.stat().st_size > MAX_BYTES:
                raise ValueError(f"it has more than {MAX_BYTES:,} bytes")
            texts[path.name] = path.read_text("utf-8")
        except (OSError, ValueError) as error:
            logger.warning("The reference set %s is skipped: %s", path, error)
    return texts
