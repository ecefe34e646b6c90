"""From a job's folder to blobs."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from app.core.errors import Invalid, TooLarge
from app.infra.blobs import BlobStore, GoOn
from app.services.stages import StageFile
from worker.child_job import OUTPUTS
from worker.sandbox.protocol import ProducedFile


def store_files(
    blobs: BlobStore, folder: Path, produced: Sequence[ProducedFile], *, limit_bytes: int, go_on: GoOn
) -> list[StageFile]:
    """Make blobs of the files that a stage says it has written; ``go_on`` is called before each chunk.

    Raises:
        Invalid: ``output_invalid``: a file is missing, is no plain file (a link could lead anywhere), is too
            large, or grows meanwhile.
    """
    stored = []
    for file in produced:
        path = folder / OUTPUTS / file.name
        _check(path, limit_bytes)
        try:
            blob = blobs.put_file(path, go_on=go_on)
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            raise _invalid(f"{path.name} is not a plain file any more.") from error
        except TooLarge as error:  # of how large it was, which is less than it may be
            raise _invalid(f"{path.name} grew while it was stored.") from error
        stored.append(StageFile(file.name, file.media_type, blob.size_bytes, blob.sha256))
    return stored


def _check(path: Path, limit_bytes: int) -> None:
    try:
        facts = os.lstat(path)
    except FileNotFoundError:
        raise _invalid(f"{path.name} was announced, but is not there.") from None
    if not stat.S_ISREG(facts.st_mode) or facts.st_nlink != 1:
        raise _invalid(f"{path.name} is not a plain file.")
    if facts.st_size > limit_bytes:
        raise _invalid(f"{path.name} has {facts.st_size} bytes; at most {limit_bytes} can be published.")


def _invalid(detail: str) -> Invalid:
    return Invalid("output_invalid", detail, "This is a fault of the service; report it with the job's id.")
