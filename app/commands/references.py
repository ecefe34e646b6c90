"""Refusing to start where the installation's own reference sets are not."""

from __future__ import annotations

from app.commands.outcome import CommandError
from app.core.reference_folder import reference_files
from app.core.settings import Settings


def require_references(settings: Settings) -> None:
    """Go no further if ``PROCTOR_CALIBRATION_DIR`` names no folder that can be read.

    Audits without the sets somebody calibrated would say less than they could, and not say why.

    Raises:
        CommandError: Names the folder and the setting.
    """
    folder = settings.calibration_dir
    if folder is None:
        return
    try:
        reference_files(folder)
    except OSError as error:
        raise CommandError(
            f"The folder of reference sets {folder} cannot be read: {error.strerror}.",
            code="references_unreadable",
            hint="Make or mount it, or correct PROCTOR_CALIBRATION_DIR; unset, only the sets that come with "
            "Proctor are used.",
        ) from error
