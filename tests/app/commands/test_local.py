"""The service without HTTP, on a fresh home; a stand-in inspector answers for the workers."""

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NoReturn

import pytest

from app.client.errors import ProblemError
from app.commands.local import OWNER, TENANT, LocalService, open_engine
from app.core.errors import Unavailable
from app.core.settings import Settings
from app.core.states import DatasetRole, EventKind, JobStatus, Stage, UploadStatus
from app.db import tables
from app.db.base import make_session_factory
from app.infra.blobs import StoredBlob, make_blob_store
from app.preparation import prepare_database
from app.services import datasets, endings, events

INSPECTION = {
    "format": "safetensors",
    "architecture": {"name": "wrn-10-2", "num_classes": 10, "input_size": 16},
    "architecture_source": "inferred",
    "normalization": {"mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0]},
    "normalization_source": "assumed",
    "parameters": 303_706,
    "buffers": 12,
    "macs": 3_000_000,
    "dtypes": {"float32": 40},
    "size_bytes": 7,
    "sha256": "0" * 64,
    "canonical_sha256": "1" * 64,
    "state_dict_key": None,
    "stripped_prefix": None,
}


class Workers:
    """Does on every tick what the workers would do about uploads and jobs that wait."""

    def __init__(self, settings: Settings, engine) -> None:
        self.settings = settings
        self.sessions = make_session_factory(engine, info={"doorbell": lambda job_id, queue: None})
        self.refusal: dict[str, str] | None = None
        self.ending = JobStatus.SUCCEEDED

    def __call__(self) -> None:
        with self.sessions.begin() as session:
            for teacher in session.query(tables.Teacher).filter_by(status=UploadStatus.INSPECTING):
                teacher.status = UploadStatus.READY if self.refusal is None else UploadStatus.REJECTED
                teacher.error = self.refusal
                teacher.inspection, teacher.num_classes = INSPECTION, 10
            for job in session.query(tables.Job).filter(tables.Job.status == JobStatus.QUEUED):
                if job.kind.value != "inspect":
                    events.append(session, job.id, EventKind.STAGE, {"stage": "probe"})
                    job.status = self.ending
                    session.flush()
                    endings.tell(session, job.id)

    def publish(self, job_id: str, content: bytes) -> None:
        writer = make_blob_store(self.settings.blob_url).open_for_write(limit_bytes=len(content))
        writer.write(content)
        stored = writer.finish()
        with self.sessions.begin() as session:
            session.add(
                tables.Artifact(
                    id="art_1",
                    tenant=TENANT,
                    job_id=job_id,
                    stage=Stage.REPORT,
                    name="report.html",
                    media_type="text/html",
                    size_bytes=stored.size_bytes,
                    sha256=stored.sha256,
                )
            )


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[LocalService, Workers]]:
    monkeypatch.setattr("app.commands.local.POLL_S", 0.0)
    settings = Settings(home=tmp_path / "home")
    prepare_database(settings)
    with open_engine(settings) as engine:
        workers = Workers(settings, engine)
        yield LocalService(settings, engine, workers), workers


@pytest.fixture
def service(parts: tuple[LocalService, Workers]) -> LocalService:
    return parts[0]


@pytest.fixture
def workers(parts: tuple[LocalService, Workers]) -> Workers:
    return parts[1]


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    path = tmp_path / "teacher.pt"
    path.write_bytes(b"weights")
    return path


def test_an_upload_returns_when_it_is_inspected(service: LocalService, teacher: Path) -> None:
    moved: list[int] = []
    document = service.upload_teacher(teacher, {"mean": "0.1,0.2,0.3", "std": "1,1,1"}, moved.append)
    assert (document["status"], document["declared"]["mean"]) == ("ready", [0.1, 0.2, 0.3])
    assert sum(moved) == len(b"weights")


def test_what_is_in_the_home_can_be_looked_up(service: LocalService, workers: Workers, teacher: Path) -> None:
    uploaded = service.upload_teacher(teacher, {})
    assert service.teacher(uploaded["id"])["status"] == "ready"
    with workers.sessions.begin() as session:
        stored, role = StoredBlob("0" * 64, 1), DatasetRole.SURROGATE
        images, _ = datasets.receive(session, OWNER, stored, filename="x.zip", role=role)
    assert service.dataset(images.id)["role"] == "surrogate"
    for look in (service.teacher, service.dataset):
        with pytest.raises(ProblemError) as caught:
            look("x_0")
        assert caught.value.code == "not_found"


def test_a_refused_upload_raises_what_http_would(
    service: LocalService, workers: Workers, teacher: Path
) -> None:
    workers.refusal = {"code": "text_file", "detail": "The file is a text file.", "hint": "Upload another."}
    with pytest.raises(ProblemError, match="The file is a text file") as caught:
        service.upload_teacher(teacher, {})
    assert (caught.value.code, caught.value.hint) == ("text_file", "Upload another.")


@pytest.mark.parametrize(("code", "status"), [("child_killed", 503), ("internal_error", 500)])
def test_an_inspection_that_failed_here_is_none_of_the_files_faults(
    code: str, status: int, service: LocalService, workers: Workers, teacher: Path
) -> None:
    workers.refusal = {"code": code, "detail": "It ended.", "hint": "Try again."}
    with pytest.raises(ProblemError, match="It ended") as caught:
        service.upload_teacher(teacher, {})
    assert caught.value.status == status


def test_a_home_without_room_is_none_of_the_files_faults(
    service: LocalService, teacher: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object) -> NoReturn:
        raise Unavailable("storage_full", "There is no space left to store the file.")

    monkeypatch.setattr(service, "_store", full)
    with pytest.raises(ProblemError, match="no space left") as caught:
        service.upload_teacher(teacher, {})
    assert caught.value.status == 507


def test_nonsense_about_the_teacher_is_an_invalid_request(service: LocalService, teacher: Path) -> None:
    with pytest.raises(ProblemError, match="num_classes") as caught:
        service.upload_teacher(teacher, {"mean": "gray", "num_classes": "0"})
    assert caught.value.code == "invalid_request"
    assert [entry["pointer"] for entry in caught.value.document["errors"]] == ["/num_classes", "/mean"]
    assert caught.value.hint


def test_what_a_job_names_and_is_not_there_is_told_by_its_place(service: LocalService, teacher: Path) -> None:
    teacher_id = service.upload_teacher(teacher, {})["id"]
    trigger = {"name": "t", "target_label": 11, "catalog": "bogus"}
    with pytest.raises(ProblemError) as caught:
        service.submit({"kind": "audit", "teacher": teacher_id, "triggers": [trigger]})
    pointers = [entry["pointer"] for entry in caught.value.document["errors"]]
    assert pointers == ["/triggers/0/catalog", "/triggers/0/target_label"]


def test_a_job_is_followed_to_its_end(service: LocalService, teacher: Path) -> None:
    teacher_id = service.upload_teacher(teacher, {})["id"]
    job = service.submit({"kind": "audit", "teacher": teacher_id})
    followed = list(service.events(job["id"]))
    assert [event.type for event in followed][-1] == "done"
    assert [event.seq for event in followed] == list(range(1, len(followed) + 1))
    assert service.job(job["id"])["status"] == "succeeded"


def test_a_recipe_that_cannot_work_is_refused_at_once(service: LocalService, teacher: Path) -> None:
    teacher_id = service.upload_teacher(teacher, {})["id"]
    with pytest.raises(ProblemError) as caught:
        service.submit({"kind": "clean", "teacher": teacher_id, "recipe": {"method": "robustkd"}})
    assert caught.value.code == "data_missing"


def test_unknown_fields_of_a_recipe_are_refused(service: LocalService, teacher: Path) -> None:
    teacher_id = service.upload_teacher(teacher, {})["id"]
    with pytest.raises(ProblemError, match="methods") as caught:
        service.submit({"kind": "clean", "teacher": teacher_id, "recipe": {"methods": "zskt"}})
    assert caught.value.code == "invalid_request"


def test_a_queued_job_is_canceled_at_once(service: LocalService, teacher: Path) -> None:
    teacher_id = service.upload_teacher(teacher, {})["id"]
    job = service.submit({"kind": "audit", "teacher": teacher_id})
    assert not service.ended_within(job["id"], 0.0)
    assert service.cancel(job["id"])["status"] == "canceled"
    assert service.ended_within(job["id"], 0.0)


def test_files_come_out_of_the_home(
    service: LocalService, workers: Workers, teacher: Path, tmp_path: Path
) -> None:
    job = service.submit({"kind": "audit", "teacher": service.upload_teacher(teacher, {})["id"]})
    workers.publish(job["id"], b"<html>")
    (artifact,) = service.artifacts(job["id"])
    moved: list[int] = []
    service.download(artifact, tmp_path / "report.html", moved.append)
    assert (tmp_path / "report.html").read_bytes() == b"<html>"
    assert moved == [6]


def test_a_copy_that_breaks_off_leaves_the_older_file(
    service: LocalService, workers: Workers, teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_out_of_space(source: IO[bytes], target: IO[bytes]) -> None:
        target.write(source.read(2))
        raise OSError(errno.ENOSPC, "No space left on device")

    job = service.submit({"kind": "audit", "teacher": service.upload_teacher(teacher, {})["id"]})
    workers.publish(job["id"], b"<html>")
    (tmp_path / "report.html").write_bytes(b"older")
    monkeypatch.setattr("app.commands.local.shutil.copyfileobj", run_out_of_space)
    with pytest.raises(OSError, match="No space left"):
        service.download(service.artifacts(job["id"])[0], tmp_path / "report.html")
    assert (tmp_path / "report.html").read_bytes() == b"older"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "report.html", "teacher.pt"]
