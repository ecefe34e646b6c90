"""A teacher of the user's own all the way: the real reader, the real stages, in their real processes."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save
from sqlalchemy import select

from app.core.states import JobKind, JobStatus, UploadStatus
from app.db.tables import Artifact, Teacher
from app.schemas.teachers import TeacherQuery
from app.services import jobs, teachers
from app.services.job_request import JobRequest
from models.checkpoints.load import load_teacher
from models.results.inspection import CheckpointInspection
from tests.described_networks import NETWORKS, trained
from tests.layer_lists import Json
from tests.service_room import PRINCIPAL, ServiceRoom
from worker.sandbox.launch import CHILD
from worker.stages.inputs import revive
from worker.supervisor import run_job
from worker.worker_context import WorkerContext


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def context(room: ServiceRoom) -> WorkerContext:
    return WorkerContext(room.settings, room.sessions, room.readers, room.blobs, CHILD, 1)


def upload(room: ServiceRoom, context: WorkerContext, name: str, layers: Json) -> Teacher:
    declared = TeacherQuery(layers=json.dumps(layers)).declared()
    with room.sessions.begin() as session:
        stored = room.store(save(dict(trained(name).state_dict())))
        teacher, _ = teachers.receive(
            session, PRINCIPAL, stored, filename="net.safetensors", declared=declared
        )
    run_job(context, str(teacher.job_id))
    with room.readers() as session:
        return teachers.get(session, PRINCIPAL.tenant, teacher.id)


@pytest.mark.parametrize("name", ["inception", "squeeze"])
def test_a_described_checkpoint_is_accepted_and_loads(
    name: str, room: ServiceRoom, context: WorkerContext
) -> None:
    teacher = upload(room, context, name, NETWORKS[name][1])
    assert (teacher.error, teacher.status) == (None, UploadStatus.READY)
    inspection = revive(CheckpointInspection, teacher.inspection)
    assert (teacher.architecture, teacher.input_size) == (
        f"layers-{str(inspection.layers_sha256)[:12]}",
        NETWORKS[name][1]["input_size"],
    )
    path = room.settings.home / "canonical"
    path.write_bytes(room.read(str(teacher.canonical_sha256)))
    images = torch.randn(2, 3, inspection.architecture.input_size, inspection.architecture.input_size)
    with torch.inference_mode():
        torch.testing.assert_close(
            load_teacher(path, inspection).network(images), trained(name)(images), rtol=0, atol=1e-6
        )


def test_another_networks_description_is_a_mismatch(room: ServiceRoom, context: WorkerContext) -> None:
    teacher = upload(room, context, "squeeze", NETWORKS["residual"][1])
    assert teacher.status == UploadStatus.REJECTED
    assert teacher.error is not None
    assert teacher.error["code"] == "architecture_mismatch"
    assert "stage.0.c1.weight [8, 8, 3, 3] is missing" in teacher.error["detail"]


def test_a_clean_job_with_the_real_stages_reports_the_description(
    room: ServiceRoom, context: WorkerContext
) -> None:
    teacher = upload(room, context, "residual", NETWORKS["residual"][1])
    recipe = {
        "probe": {"budget": "quick", "transfer": False},
        "student": {"architecture": "wrn-10-1"},
        "method": "ood",
        "defense": "abd",
        "control": False,
        "ood": {"images": 64, "batch_size": 32, "patches": 64},
    }
    with room.sessions.begin() as session:
        job = jobs.submit(session, PRINCIPAL, JobRequest(JobKind.CLEAN, teacher.id, recipe=recipe))
    run_job(context, job.id)
    done = room.job(job.id)
    assert (done.status, done.error) == (JobStatus.SUCCEEDED, None)
    assert done.result is not None
    (student,) = done.result["distill"]["students"]
    assert (student["architecture"]["name"], student["architecture"]["layers"]) == ("wrn-10-1", None)
    networks = {network["role"]: network for network in done.result["verify"]["networks"]}
    assert networks["teacher"]["architecture"] == teacher.architecture
    rescan = done.result["verify"]["rescan"]
    scans = rescan["scans"]
    # Two steps teach little: a student that names one class for everything is not scanned, which is said.
    judged = ["defended", "defended"] if not rescan["failures"] else []
    assert [scan["role"] for scan in scans] == ["teacher", "teacher", *judged]
    assert all("defended student tells nothing" in failure for failure in rescan["failures"])
    assert scans[0]["statistic"] == pytest.approx(done.result["probe"]["probes"][0]["statistic"])
    with room.readers() as session:
        report = session.scalars(
            select(Artifact).where(Artifact.job_id == job.id, Artifact.name == "report.html")
        ).one()
    page = room.read(report.sha256).decode()
    assert teacher.inspection is not None
    assert teacher.inspection["layers_sha256"] in page
    assert teacher.inspection["layers_summary"] in page
