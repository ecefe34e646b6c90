"""A wrong id is told before minutes of uploading, not after them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from app.client.errors import ProblemError
from app.commands import journey
from app.commands.options import JobOptions
from app.commands.outcome import CommandError, ExitCode, Output
from tests.app.commands.test_journey import OLD, FakeService

TEACHER = "tch_01JD0R1C4H8P6Q2S7V5X3Z9YKE"
READY = {"status": "ready", "role": "clean_labelled"}
REJECTED = {"status": "rejected", "error": {"code": "no_images", "detail": "No image.", "hint": "Add some."}}


class Named(FakeService):
    """Knows some uploads, and refuses to look others up."""

    def __init__(self, uploads: dict[str, dict[str, Any]], refusal: str = "not_found") -> None:
        super().__init__()
        self.uploads = uploads
        self.why = refusal

    def _get(self, upload_id: str) -> dict[str, Any]:
        if upload_id not in self.uploads:
            raise ProblemError(404, {"code": self.why})
        return self.uploads[upload_id]

    teacher = dataset = _get


@pytest.fixture
def output() -> Output:
    return Output(as_json=True, console=Console(file=io.StringIO()))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file.bin"
    path.write_bytes(b"bytes")
    return path


@pytest.mark.parametrize(
    ("uploads", "code", "exit_code"),
    [
        ({}, "invalid_request", ExitCode.USAGE),
        ({OLD: {**READY, "role": "surrogate"}}, "invalid_request", ExitCode.USAGE),
        ({OLD: REJECTED}, "no_images", ExitCode.UNSUPPORTED_FILE),
    ],
    ids=["missing", "another role", "refused"],
)
def test_images_that_cannot_be_used_are_told_before_the_teacher_is_sent(
    uploads: dict[str, Any], code: str, exit_code: ExitCode, output: Output, file: Path
) -> None:
    service = Named(uploads)
    with pytest.raises(CommandError) as caught:
        journey.submit(service, output, file, JobOptions({}, {"labelled": OLD}, {"kind": "clean"}))
    assert (caught.value.code, caught.value.exit_code) == (code, exit_code)
    assert caught.value.hint
    assert service.asked == []


@pytest.mark.parametrize("target", [9, 10])
def test_a_teacher_is_looked_at_before_its_images_are_sent(output: Output, file: Path, target: int) -> None:
    service = Named({TEACHER: {**READY, "inspection": {"architecture": {"num_classes": 10}}}})
    request = {"kind": "clean", "triggers": [{"name": "x", "target_label": target}]}
    options = JobOptions({}, {"labelled": file}, request)
    if target == 10:
        with pytest.raises(CommandError, match="classes 0 to 9"):
            journey.submit(service, output, TEACHER, options)
    else:
        journey.submit(service, output, TEACHER, options)
    assert [asked[0] for asked in service.asked] == ([] if target == 10 else ["dataset", "job"])


def test_a_key_that_may_not_read_can_submit_all_the_same(output: Output, file: Path) -> None:
    service = Named({}, refusal="scope_missing")
    journey.submit(service, output, file, JobOptions({}, {"labelled": OLD}, {"kind": "clean"}))
    assert [asked[0] for asked in service.asked] == ["teacher", "job"]


def test_where_nothing_is_sent_the_job_itself_is_asked_for_at_once(output: Output) -> None:
    service = Named({})
    journey.submit(service, output, TEACHER, JobOptions({}, {"labelled": OLD}, {"kind": "clean"}))
    assert [asked[0] for asked in service.asked] == ["job"]
