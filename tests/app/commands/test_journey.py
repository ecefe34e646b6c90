import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import pytest
from rich.console import Console

from app.client.errors import ProblemError
from app.client.events import Event
from app.client.transfer import OnBytes, ignore_bytes
from app.commands import journey
from app.commands.options import JobOptions
from app.commands.outcome import CommandError, ExitCode, Output

SUCCEEDED = {
    "id": "job_1",
    "kind": "clean",
    "status": "succeeded",
    "accepted": True,
    "verdict": "detected",
    "finished_at": "2026-01-01T00:00:00Z",
}

OLD = "ds_01JD0R1C4H8P6Q2S7V5X3Z9YKE"


class FakeService:
    """Remembers what it was asked."""

    def __init__(self, job: Mapping[str, Any] = SUCCEEDED) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.finished = dict(job)
        self.names = ["student.safetensors", "report.html"]
        self.refusal: ProblemError | None = None
        self.interrupt = False
        self.uploads: dict[str, dict[str, Any]] = {}

    def upload_teacher(
        self, path: Path, options: Mapping[str, str], on_bytes: OnBytes = ignore_bytes
    ) -> dict:
        if self.refusal is not None:
            raise self.refusal
        self.asked.append(("teacher", path.name, dict(options)))
        return {"id": "tch_1"}

    def upload_dataset(self, path: Path, role: str, on_bytes: OnBytes = ignore_bytes) -> dict:
        self.asked.append(("dataset", path.name, role))
        return {"id": f"ds_{role}"}

    def teacher(self, teacher_id: str) -> dict:
        return self.uploads.get(teacher_id, {"id": teacher_id, "status": "ready"})

    def dataset(self, dataset_id: str) -> dict:
        return self.uploads.get(dataset_id, {"id": dataset_id, "status": "ready", "role": "surrogate"})

    def submit(self, request: Mapping[str, Any]) -> dict:
        self.asked.append(("job", dict(request)))
        return {"id": "job_1"}

    def job(self, job_id: str) -> dict:
        return self.finished

    def events(self, job_id: str) -> Iterator[Event]:
        yield Event(1, "stage", {"stage": "probe"})
        if self.interrupt:
            raise KeyboardInterrupt
        yield Event(2, "done", {"status": self.finished["status"]})

    def artifacts(self, job_id: str) -> list[dict]:
        return [
            {"id": f"art_{name}", "name": name, "size_bytes": 3, "sha256": "0" * 64} for name in self.names
        ]

    def download(
        self, artifact: Mapping[str, Any], destination: Path, on_bytes: OnBytes = ignore_bytes
    ) -> Path:
        destination.write_bytes(b"abc")
        return destination


@pytest.fixture
def output() -> Output:
    return Output(as_json=True, console=Console(file=io.StringIO(), width=200))


def said(output: Output) -> str:
    assert isinstance(output.console.file, io.StringIO)
    return output.console.file.getvalue()


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    path = tmp_path / "teacher.pt"
    path.write_bytes(b"weights")
    return path


def test_files_are_uploaded_in_their_roles_and_named_in_the_job(output: Output, teacher: Path) -> None:
    service = FakeService()
    options = JobOptions({"mean": "0,0,0"}, {"labelled": teacher, "surrogate": OLD}, {"kind": "clean"})
    journey.submit(service, output, teacher, options)
    data = {"labelled": "ds_clean_labelled", "surrogate": OLD}
    assert service.asked == [
        ("teacher", "teacher.pt", {"mean": "0,0,0"}),
        ("dataset", "teacher.pt", "clean_labelled"),
        ("job", {"kind": "clean", "teacher": "tch_1", "data": data}),
    ]


def test_a_teacher_uploaded_before_is_not_uploaded_again(output: Output) -> None:
    service = FakeService()
    journey.submit(service, output, "tch_7", JobOptions({}, {}, {"kind": "audit"}))
    assert service.asked == [("job", {"kind": "audit", "teacher": "tch_7", "data": {}})]


def test_a_file_is_a_file_whatever_its_name(output: Output, tmp_path: Path) -> None:
    service = FakeService()
    for name in ("tch_mine.pt", "ds_mine.zip"):
        (tmp_path / name).write_bytes(b"bytes")
    options = JobOptions({}, {"labelled": tmp_path / "ds_mine.zip"}, {"kind": "audit"})
    journey.submit(service, output, tmp_path / "tch_mine.pt", options)
    assert [asked[:2] for asked in service.asked[:2]] == [
        ("teacher", "tch_mine.pt"),
        ("dataset", "ds_mine.zip"),
    ]


def test_nothing_can_be_said_about_a_teacher_uploaded_before(output: Output) -> None:
    service = FakeService()
    with pytest.raises(click.UsageError, match="--num-classes belongs to an upload"):
        journey.submit(service, output, "tch_7", JobOptions({"num_classes": "10"}, {}, {"kind": "audit"}))
    assert service.asked == []


def test_a_file_whose_name_cannot_be_sent_is_refused(output: Output, tmp_path: Path) -> None:
    path = tmp_path / "t\udcff.pt"
    path.write_bytes(b"weights")
    with pytest.raises(click.UsageError, match="rename the file"):
        journey.submit(FakeService(), output, path, JobOptions({}, {}, {}))


@pytest.mark.parametrize(("status", "exit_code"), [(422, 3), (413, 3), (415, 3)])
def test_a_refused_file_is_an_unsupported_one(
    output: Output, teacher: Path, status: int, exit_code: int
) -> None:
    service = FakeService()
    service.refusal = ProblemError(
        status, {"code": "torn", "detail": "It ends early.", "hint": "Copy it again."}
    )
    with pytest.raises(CommandError, match=r"teacher.pt: It ends early.") as caught:
        journey.submit(service, output, teacher, JobOptions({}, {}, {}))
    assert (caught.value.exit_code, caught.value.code, caught.value.hint) == (
        exit_code,
        "torn",
        "Copy it again.",
    )


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, "unauthenticated"), (422, "invalid_request"), (503, "time_limit"), (507, "host_disk_full")],
)
def test_an_upload_that_fails_otherwise_says_nothing_about_the_file(
    output: Output, teacher: Path, status: int, code: str
) -> None:
    service = FakeService()
    service.refusal = ProblemError(status, {"code": code})
    with pytest.raises(ProblemError):
        journey.submit(service, output, teacher, JobOptions({}, {}, {}))


def test_a_finished_job_is_fetched_and_judged(output: Output, tmp_path: Path) -> None:
    code = journey.finish(FakeService(), output, "job_1", tmp_path / "out")
    assert code == ExitCode.ACCEPTED
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "report.html",
        "student.safetensors",
    ]


def test_a_failed_job_has_nothing_to_fetch(output: Output, tmp_path: Path) -> None:
    service = FakeService({**SUCCEEDED, "status": "failed", "accepted": None})
    assert journey.finish(service, output, "job_1", tmp_path / "out") == ExitCode.ERROR
    assert not (tmp_path / "out").exists()


def test_ctrl_c_leaves_the_job_running_and_says_how_to_come_back(output: Output) -> None:
    service = FakeService()
    service.interrupt = True
    assert journey.finish(service, output, "job_1", None) == ExitCode.CANCELED
    assert "proctor watch job_1" in said(output)
    assert service.asked == []


def test_a_report_never_lies_beside_another_jobs_student(output: Output, tmp_path: Path) -> None:
    journey.fetch(FakeService(), output, "job_1", tmp_path)
    audit = FakeService()
    audit.names = ["report.html"]
    journey.fetch(audit, output, "job_2", tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["earlier-1", "report.html"]
    assert [path.name for path in (tmp_path / "earlier-1").iterdir()] == ["student.safetensors"]
    assert f"Moved student.safetensors, which is of another job, to {tmp_path}/earlier-1" in said(output)


def test_a_fetch_that_breaks_off_leaves_the_other_jobs_files_as_they_were(
    output: Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new job's report, "accepted", lay beside the old job's student."""
    for name in ("report.html", "student.safetensors"):
        (tmp_path / name).write_text("old")
    service = FakeService()
    service.names = ["report.html", "student.safetensors"]
    whole = service.download

    def break_off(artifact: Mapping[str, Any], destination: Path, on_bytes: OnBytes = ignore_bytes) -> Path:
        if destination.name == "student.safetensors":
            raise KeyboardInterrupt
        return whole(artifact, destination, on_bytes)

    monkeypatch.setattr(service, "download", break_off)
    with pytest.raises(KeyboardInterrupt):
        journey.fetch(service, output, "job_1", tmp_path)
    assert {path.read_text() for path in tmp_path.iterdir() if path.is_file()} == {"old"}
    monkeypatch.undo()
    journey.fetch(service, output, "job_1", tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "report.html": "abc", "student.safetensors": "abc",
    }  # fmt: skip


def test_fetching_again_moves_nothing(output: Output, tmp_path: Path) -> None:
    for _ in range(2):
        journey.fetch(FakeService(), output, "job_1", tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "student.safetensors"]


def test_one_file_may_be_fetched_alone(output: Output, tmp_path: Path) -> None:
    paths = journey.fetch(FakeService(), output, "job_1", tmp_path, only="report.html")
    assert paths == [tmp_path / "report.html"]


def test_fetching_what_is_not_there_is_an_error(output: Output, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"no file named 'weights.pt'; it is succeeded") as caught:
        journey.fetch(FakeService(), output, "job_1", tmp_path, only="weights.pt")
    assert caught.value.hint == "Its files are student.safetensors, report.html."
    unfinished = FakeService({**SUCCEEDED, "status": "running", "finished_at": None})
    unfinished.names = []
    with pytest.raises(CommandError, match="has no files; it is running") as caught:
        journey.fetch(unfinished, output, "job_1", tmp_path)
    assert caught.value.hint == "Follow it with `proctor watch job_1`."
    unfinished.finished = {**SUCCEEDED, "status": "canceled"}
    with pytest.raises(CommandError, match="has no files; it is canceled") as caught:
        journey.fetch(unfinished, output, "job_1", tmp_path)
    assert caught.value.hint == "`proctor watch job_1` says why; `proctor retry job_1` tries again."


def test_a_job_that_was_only_watched_ends_in_how_to_get_its_files(output: Output) -> None:
    journey.finish(FakeService(), output, "job_1", None)
    assert "proctor fetch job_1 --output out" in said(output)


def test_a_result_is_told_even_if_its_files_cannot_be_saved(
    output: Output, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(journey.UnsavedError, match="could not be saved") as caught:
        journey.finish(FakeService(), output, "job_1", tmp_path / "out")
    assert "proctor fetch job_1" in caught.value.hint
    assert json.loads(capsys.readouterr().out) == SUCCEEDED


def test_what_the_images_say_about_themselves_is_shown(tmp_path: Path) -> None:
    class Warns(FakeService):
        def upload_dataset(self, path: Path, role: str, on_bytes: OnBytes = ignore_bytes) -> dict:
            return {"id": "ds_1", "inspection": {"warnings": ["The same 3x3 patch is in 20 images."]}}

    (tmp_path / "images.zip").write_bytes(b"x")
    told = io.StringIO()
    output = Output(as_json=False, console=Console(file=told, width=200))
    options = JobOptions({}, {"labelled": tmp_path / "images.zip"}, {"kind": "audit"})
    journey.submit(Warns(), output, "tch_1", options)
    assert "images.zip: The same 3x3 patch is in 20 images." in told.getvalue()
