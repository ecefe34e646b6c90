"""Inspections as they run in production: the real child, the real readers."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import save

from app.core.states import DatasetRole, UploadStatus
from app.db.tables import Dataset, Teacher
from app.services import datasets, teachers
from models.architectures import build
from models.recipes.architecture import ArchitectureSpec
from tests.service_room import PRINCIPAL, ServiceRoom
from worker.sandbox.launch import CHILD
from worker.supervisor import run_job
from worker.worker_context import WorkerContext


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


def inspect_teacher(room: ServiceRoom, content: bytes, **declared: object) -> Teacher:
    with room.sessions.begin() as session:
        stored = room.store(content)
        teacher, _ = teachers.receive(
            session, PRINCIPAL, stored, filename="teacher.safetensors", declared=declared
        )
    run_job(
        WorkerContext(room.settings, room.sessions, room.readers, room.blobs, CHILD, 1), str(teacher.job_id)
    )
    with room.readers() as session:
        return teachers.get(session, PRINCIPAL.tenant, teacher.id)


def test_a_checkpoint_is_recognized_and_made_canonical(room: ServiceRoom) -> None:
    network = build(ArchitectureSpec("wrn-10-1", 10, 16))
    teacher = inspect_teacher(
        room, save(dict(network.state_dict())), input_size=16, mean=[0.1, 0.1, 0.1], std=[0.2, 0.2, 0.2]
    )
    assert teacher.error is None
    assert (teacher.status, teacher.architecture, teacher.num_classes) == (UploadStatus.READY, "wrn-10-1", 10)
    assert teacher.inspection is not None
    assert teacher.inspection["canonical_sha256"] == teacher.canonical_sha256
    assert teacher.inspection["normalization"]["mean"] == [0.1, 0.1, 0.1]


def test_a_text_file_is_rejected_with_the_readers_words(room: ServiceRoom) -> None:
    teacher = inspect_teacher(room, b"Dear Sir or Madam")
    assert teacher.status == UploadStatus.REJECTED
    assert teacher.error is not None
    assert set(teacher.error) == {"code", "detail", "hint"}
    assert teacher.error["code"] not in {"internal_error", "child_crashed"}


def test_an_archive_is_read(room: ServiceRoom) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for label in ("cat", "dog"):
            for number in range(3):
                picture = io.BytesIO()
                Image.fromarray(np.full((16, 16, 3), number, np.uint8)).save(picture, "PNG")
                file.writestr(f"{label}/{number}.png", picture.getvalue())
    with room.sessions.begin() as session:
        stored = room.store(archive.getvalue())
        dataset, _ = datasets.receive(
            session, PRINCIPAL, stored, filename="x.zip", role=DatasetRole.CLEAN_LABELLED
        )
    run_job(
        WorkerContext(room.settings, room.sessions, room.readers, room.blobs, CHILD, 1), str(dataset.job_id)
    )
    with room.readers() as session:
        read = session.get_one(Dataset, dataset.id)
    assert (read.error, read.status, read.images, read.num_classes) == (None, UploadStatus.READY, 6, 2)


def test_an_inspection_loads_no_torch() -> None:
    script = "import sys, worker.sandbox.child, worker.stages.inspect; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-I", "-c", script], check=False).returncode == 0


def test_the_supervisor_loads_no_torch() -> None:
    script = "import sys, worker.celery_app; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-I", "-c", script], check=False).returncode == 0
