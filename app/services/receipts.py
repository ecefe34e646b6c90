"""How uploaded bytes become a row: teachers and datasets alike."""

from __future__ import annotations

from contextlib import suppress

from sqlalchemy import Select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.core.errors import NotFound
from app.core.states import UploadStatus
from app.services import jobs, uploads
from app.services.uploads import UploadRow


def take(session: Session, upload: UploadRow, same: Select[UploadRow]) -> tuple[UploadRow, bool]:
    """Register an upload and submit its inspection, unless the tenant has the same one.

    Args:
        session: The caller's transaction.
        upload: Not yet in the session.
        same: Finds the tenant's upload of the same bytes for the same use, of which there is at most one.

    Returns:
        The upload, and whether it is new. One that was rejected is replaced.
    """
    found = session.scalar(same)
    if found is not None and found.status == UploadStatus.REJECTED:
        with suppress(NotFound):  # the same upload came twice at the same time
            uploads.delete(session, found)
        found = None
    if found is not None:
        return found, False
    try:
        with session.begin_nested():
            session.add(upload)
    except IntegrityError:  # the same upload came twice at the same time; the other was first
        return session.scalars(same).one(), False
    upload.job_id = jobs.submit_inspection(session, upload).id
    return upload, True
