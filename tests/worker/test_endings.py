from __future__ import annotations

import sys
from pathlib import Path

import pytest

from app.core.settings import Settings
from app.services import teachers
from models.checkpoints import declared
from models.checkpoints.limits import Limits
from models.data.limits import ArchiveLimits
from tests.service_room import PRINCIPAL, ServiceRoom
from worker.supervisor import run_job
from worker.worker_context import WorkerContext


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


def test_an_upload_that_took_too_long_is_told_what_its_sender_can_do(
    room: ServiceRoom, tmp_path: Path
) -> None:
    script = tmp_path / "hang.py"
    script.write_text("import time; time.sleep(60)")
    settings = room.settings.model_copy(update={"inspect_timeout_s": 0.1})
    child = (sys.executable, "-I", str(script))
    context = WorkerContext(settings, room.sessions, room.readers, room.blobs, child, threads=1)
    with room.sessions.begin() as session:
        stored = room.store(b"weights")
        teacher, _ = teachers.receive(session, PRINCIPAL, stored, filename="x.pt", declared={})
    run_job(context, str(teacher.job_id))
    with room.readers() as session:
        error = teachers.get(session, PRINCIPAL.tenant, teacher.id).error
    assert error is not None and error["code"] == "time_limit"
    assert "timeout_s" not in error["hint"] and "recipe" not in error["hint"]


def test_an_inspection_has_time_for_its_processes_own_limits() -> None:
    """Else an honest archive was refused with a code that told its sender nothing."""
    settings = Settings()
    checkpoint = Limits().admitting(settings.max_upload_bytes)
    assert settings.inspect_timeout_s > declared.WALL_S + checkpoint.wall_s
    assert settings.inspect_timeout_s > ArchiveLimits().wall_s
