"""What costs a job an attempt or its time, and what must not."""

from __future__ import annotations

from app.core.states import JobStatus, UploadStatus
from app.services import teachers
from tests.service_room import PRINCIPAL, ServiceRoom
from tests.worker.test_supervisor import context, database_url, upload
from worker.supervisor import run_job
from worker.worker_context import WorkerContext

__all__ = ["context", "database_url"]


def test_an_upload_whose_reader_was_told_to_stop_waits(room: ServiceRoom, context: WorkerContext) -> None:
    """A service manager signals worker, process and reader; a good upload was refused for good."""
    teacher = upload(room, b"told to stop")
    run_job(context, str(teacher.job_id))
    job = room.job(str(teacher.job_id))
    assert (job.status, job.attempt) == (JobStatus.QUEUED, 0)
    with room.readers() as session:
        assert teachers.get(session, PRINCIPAL.tenant, teacher.id).status == UploadStatus.INSPECTING
