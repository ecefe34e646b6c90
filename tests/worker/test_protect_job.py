"""A protect job from submission to rows and files, with a process whose stages compute nothing."""

from __future__ import annotations

from sqlalchemy import select

from app.core.states import JobKind
from app.db.tables import Metric, Student
from app.services import artifacts
from tests.service_room import PRINCIPAL, ServiceRoom
from tests.worker.test_supervisor import context, database_url
from worker.supervisor import run_job
from worker.worker_context import WorkerContext

__all__ = ["context", "database_url"]


def test_a_protect_job_becomes_rows_and_files(room: ServiceRoom, context: WorkerContext) -> None:
    job = room.submit(JobKind.PROTECT)
    run_job(context, job.id)
    done = room.job(job.id)
    assert (done.status, done.verdict, done.accepted) == ("succeeded", None, False)
    assert done.result is not None and list(done.result) == ["protect", "measure"]
    with room.readers() as session:
        names = [artifact.name for artifact in artifacts.page(session, PRINCIPAL.tenant, job.id)]
        curve = session.execute(select(Metric.stage, Metric.series, Metric.step, Metric.value)).all()
        assert list(session.scalars(select(Student))) == []
    assert names == ["nasty_teacher.safetensors", "protection.json", "report.html"]
    assert [tuple(point) for point in curve] == [("protect", "nasty.divergence", 1, 3.0)]
