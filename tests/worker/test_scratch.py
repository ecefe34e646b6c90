from __future__ import annotations

from sqlalchemy import text

from tests.service_room import ServiceRoom
from tests.worker.test_supervisor import context, database_url
from worker.supervisor import run_job
from worker.worker_context import WorkerContext

__all__ = ["context", "database_url"]


def test_a_worker_clears_away_what_its_host_was_left_with(room: ServiceRoom, context: WorkerContext) -> None:
    """Where workers share no folder, upkeep runs on one host, and jobs end on another than they began."""
    ended_elsewhere, waiting, job = (room.submit() for _ in range(3))
    for other in (ended_elsewhere, waiting):
        (context.settings.scratch_folder / other.id / "token").mkdir(parents=True)
    with room.sessions.begin() as session:
        session.execute(text("UPDATE jobs SET status = 'failed' WHERE id = :id"), {"id": ended_elsewhere.id})
    run_job(context, job.id)
    assert [folder.name for folder in context.settings.scratch_folder.iterdir()] == [waiting.id]
