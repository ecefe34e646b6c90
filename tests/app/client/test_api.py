import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from app.client import DownloadCorruptError, ProblemError, ProctorClient, UnreachableError, transfer
from app.client.errors import UnsendableError

Handler = Callable[[httpx.Request], httpx.Response]
CONTENT = b"weights" * 1000
ARTIFACT = {"id": "art_1", "name": "student.safetensors", "sha256": hashlib.sha256(CONTENT).hexdigest()}


def client_of(handler: Handler, pauses: list[float] | None = None) -> ProctorClient:
    sleep = pauses.append if pauses is not None else lambda s: None
    return ProctorClient("http://server", "prk_x", httpx.MockTransport(handler), sleep=sleep)


def in_turn(*answers: httpx.Response | Exception) -> tuple[Handler, list[httpx.Request]]:
    """Make a handler that gives the answers in turn, and the list of requests it saw."""
    left, seen = list(answers), []

    def handler(request: httpx.Request) -> httpx.Response:
        request.read()
        seen.append(request)
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return handler, seen


def sse(*messages: tuple[int, str, dict], cut: bool = False) -> httpx.Response:
    text = "".join(f"id: {n}\nevent: {kind}\ndata: {json.dumps(data)}\n\n" for n, kind, data in messages)

    def body():
        yield text.encode()
        if cut:
            raise httpx.ReadError("reset")

    return httpx.Response(200, headers={"Content-Type": "text/event-stream"}, content=body())


@pytest.fixture
def teacher_file(tmp_path: Path) -> Path:
    path = tmp_path / "my teacher.pt"
    path.write_bytes(CONTENT)
    return path


def test_every_request_carries_the_key() -> None:
    handler, seen = in_turn(httpx.Response(200, json={"id": "job_1", "status": "queued"}))
    client_of(handler).job("job_1")
    assert seen[0].headers["Authorization"] == "Bearer prk_x"


def test_uploads_are_looked_up_by_their_ids() -> None:
    ready = {"id": "x", "status": "ready"}
    handler, seen = in_turn(httpx.Response(200, json=ready), httpx.Response(200, json=ready))
    client = client_of(handler)
    assert client.teacher("tch_1") == client.dataset("ds_1/..") == ready
    assert [request.url.raw_path for request in seen] == [b"/v1/teachers/tch_1", b"/v1/datasets/ds_1%2F.."]


def test_an_upload_sends_the_bytes_with_their_length(teacher_file: Path) -> None:
    handler, seen = in_turn(httpx.Response(201, json={"id": "tch_1", "status": "ready"}))
    moved: list[int] = []
    client_of(handler).upload_teacher(teacher_file, {"architecture": "wrn-10-2"}, moved.append)
    assert seen[0].content == CONTENT
    assert seen[0].headers["Content-Length"] == str(len(CONTENT))
    assert seen[0].url.raw_path == b"/v1/teachers/my%20teacher.pt?architecture=wrn-10-2"
    assert sum(moved) == len(CONTENT)


def test_an_upload_is_sent_whole_again_after_a_passing_error(teacher_file: Path) -> None:
    ready = httpx.Response(201, json={"id": "tch_1", "status": "ready"})
    handler, seen = in_turn(httpx.Response(503), httpx.ReadError("reset"), ready)
    moved: list[int] = []
    client_of(handler).upload_teacher(teacher_file, {}, moved.append)
    assert [request.content for request in seen] == [CONTENT] * 3
    assert sum(moved) == len(CONTENT)


def test_an_upload_waits_for_its_inspection(teacher_file: Path) -> None:
    headers = {"Location": "/v1/teachers/tch_1", "Retry-After": "2"}
    handler, seen = in_turn(
        httpx.Response(202, json={"id": "tch_1", "status": "inspecting"}, headers=headers),
        httpx.Response(200, json={"id": "tch_1", "status": "ready"}),
    )
    pauses: list[float] = []
    assert client_of(handler, pauses).upload_teacher(teacher_file, {})["status"] == "ready"
    assert (pauses, seen[1].url.path) == ([2.0], "/v1/teachers/tch_1")


def test_the_key_goes_to_no_other_host_that_a_proxy_names(teacher_file: Path) -> None:
    headers = {"Location": "http://inside:8642/v1/teachers/tch_1"}
    handler, seen = in_turn(
        httpx.Response(202, json={"id": "tch_1", "status": "inspecting"}, headers=headers),
        httpx.Response(200, json={"id": "tch_1", "status": "ready"}),
    )
    client_of(handler).upload_teacher(teacher_file, {})
    assert [str(request.url) for request in seen[1:]] == ["http://server/v1/teachers/tch_1"]


@pytest.mark.parametrize("now_has", [b"w", CONTENT + b"more"])
def test_a_file_that_changes_while_it_is_sent_is_named_and_not_sent_again(
    now_has: bytes, teacher_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ended as an internal error that told of Content-Length."""
    handler, seen = in_turn(httpx.Response(201, json={"id": "tch_1", "status": "ready"}))
    monkeypatch.setattr(transfer, "read_chunks", lambda path, on_bytes: iter([now_has]))
    with pytest.raises(UnsendableError, match="changed while it was sent"):
        client_of(handler).upload_teacher(teacher_file, {})
    assert seen == []


def test_a_pipe_is_refused_before_it_is_read(tmp_path: Path) -> None:
    """It has no size, and a second attempt waited for ever for who would write to it."""
    os.mkfifo(tmp_path / "pipe.pt")
    handler, seen = in_turn()
    with pytest.raises(UnsendableError, match="not a plain file"):
        client_of(handler).upload_teacher(tmp_path / "pipe.pt", {})
    assert seen == []


def test_a_late_rejection_is_raised_like_an_early_one(teacher_file: Path) -> None:
    error = {"code": "zip_torn", "detail": "The file ends early.", "hint": "Copy it again."}
    handler, _ = in_turn(
        httpx.Response(
            202, json={"id": "tch_1", "status": "inspecting"}, headers={"Location": "/v1/teachers/tch_1"}
        ),
        httpx.Response(200, json={"id": "tch_1", "status": "rejected", "error": error}),
    )
    with pytest.raises(ProblemError) as caught:
        client_of(handler).upload_teacher(teacher_file, {})
    assert caught.value.code == "zip_torn"


@pytest.mark.parametrize(
    ("code", "status"),
    [("time_limit", 503), ("infrastructure", 503), ("internal_error", 500), ("host_disk_full", 507)],
)
def test_a_late_failure_of_the_service_is_none_of_the_file(
    code: str, status: int, teacher_file: Path
) -> None:
    """It was raised as a refusal of the file, 422."""
    handler, _ = in_turn(
        httpx.Response(202, json={"id": "tch_1", "status": "inspecting"}),
        httpx.Response(200, json={"id": "tch_1", "status": "rejected", "error": {"code": code}}),
    )
    with pytest.raises(ProblemError) as caught:
        client_of(handler).upload_teacher(teacher_file, {})
    assert (caught.value.code, caught.value.status) == (code, status)


def test_a_submit_repeated_after_a_lost_answer_keeps_its_idempotency_key() -> None:
    handler, seen = in_turn(httpx.ReadError("reset"), httpx.Response(202, json={"id": "job_1"}))
    client_of(handler).submit({"kind": "audit"})
    assert seen[0].headers["Idempotency-Key"] == seen[1].headers["Idempotency-Key"]


def test_a_retry_repeated_after_a_lost_answer_keeps_its_idempotency_key() -> None:
    made = httpx.Response(202, json={"id": "job_2", "status": "queued"})
    handler, seen = in_turn(httpx.ReadError("reset"), made)
    client_of(handler).retry("job_1")
    assert seen[0].headers["Idempotency-Key"] == seen[1].headers["Idempotency-Key"]


def test_two_submits_are_two_jobs() -> None:
    handler, seen = in_turn(*[httpx.Response(202, json={"id": "job_1"})] * 2)
    client = client_of(handler)
    client.submit({"kind": "audit"})
    client.submit({"kind": "audit"})
    assert seen[0].headers["Idempotency-Key"] != seen[1].headers["Idempotency-Key"]


def test_jobs_are_paged_up_to_the_limit() -> None:
    handler, seen = in_turn(
        httpx.Response(200, json={"data": [{"id": "a"}, {"id": "b"}], "has_more": True, "next_after": "b"}),
        httpx.Response(200, json={"data": [{"id": "c"}, {"id": "d"}], "has_more": True, "next_after": "d"}),
    )
    assert [job["id"] for job in client_of(handler).jobs(limit=3, status="running")] == ["a", "b", "c"]
    assert seen[1].url.params["after"] == "b"
    assert seen[1].url.params["status"] == "running"


def test_events_end_with_the_job() -> None:
    handler, _ = in_turn(sse((1, "stage", {"stage": "probe"}), (2, "done", {"status": "succeeded"})))
    assert [event.type for event in client_of(handler).events("job_1")] == ["stage", "done"]


def test_events_go_on_after_a_break_without_repeating() -> None:
    handler, seen = in_turn(
        sse((1, "stage", {}), (2, "progress", {}), cut=True),
        httpx.Response(503),
        sse((2, "progress", {}), (3, "done", {})),
    )
    assert [event.seq for event in client_of(handler).events("job_1")] == [1, 2, 3]
    assert [request.headers["Last-Event-ID"] for request in seen] == ["0", "2", "2"]


def test_a_logged_text_cannot_pose_as_the_end_of_its_job() -> None:
    """httpx's ``iter_lines`` cuts at U+2028, which JSON allows within a text."""
    forged = "\u2028\u2028id: 9\u2028event: done\u2028data: {}\u2028\u2028"
    log = f'id: 1\nevent: log\ndata: {{"text":"{forged}"}}\n\n'
    done = 'id: 2\nevent: done\ndata: {"status":"succeeded"}\n\n'
    handler, _ = in_turn(httpx.Response(200, content=(log + done).encode()))
    events = list(client_of(handler).events("job_1"))
    assert [(event.seq, event.type) for event in events] == [(1, "log"), (2, "done")]
    assert events[0].data == {"text": forged}


def test_a_stream_that_ends_behind_the_last_event_ends_the_following() -> None:
    handler, _ = in_turn(sse(), httpx.Response(200, json={"id": "job_1", "status": "succeeded"}))
    assert list(client_of(handler).events("job_1", after=9)) == []


def test_a_stream_that_breaks_forever_is_given_up() -> None:
    with pytest.raises(UnreachableError):
        list(client_of(lambda request: sse(cut=True)).events("job_1"))


def test_a_restart_of_minutes_is_waited_out() -> None:
    away = [httpx.ConnectError("refused")] * 40
    handler, _ = in_turn(sse((1, "stage", {}), cut=True), *away, sse((2, "done", {})))
    pauses: list[float] = []
    assert [event.seq for event in client_of(handler, pauses).events("job_1")] == [1, 2]
    assert sum(pauses) > 120


def test_who_loses_a_job_for_good_learns_how_to_come_back() -> None:
    away = [httpx.ConnectError("refused")] * 60
    handler, _ = in_turn(sse((1, "stage", {}), cut=True), *away)
    with pytest.raises(UnreachableError) as caught:
        list(client_of(handler).events("job_1"))
    assert "The job goes on: `proctor watch job_1`" in caught.value.hint


def test_a_server_that_never_answered_is_soon_given_up() -> None:
    handler, seen = in_turn(*[httpx.ConnectError("refused")] * 60)
    with pytest.raises(UnreachableError, match="refused") as caught:
        list(client_of(handler).events("job_1"))
    assert (len(seen), "goes on" in caught.value.hint) == (7, False)


def test_events_of_an_unknown_job_raise_the_problem() -> None:
    handler, _ = in_turn(httpx.Response(404, json={"code": "not_found", "detail": "No such job."}))
    with pytest.raises(ProblemError, match="No such job"):
        list(client_of(handler).events("job_0"))


def test_a_download_resumes_after_a_break(tmp_path: Path) -> None:
    def broken():
        yield CONTENT[:3000]
        raise httpx.ReadError("reset")

    rest = {"Content-Range": f"bytes 3000-{len(CONTENT) - 1}/{len(CONTENT)}"}
    handler, seen = in_turn(
        httpx.Response(200, content=broken()), httpx.Response(206, content=CONTENT[3000:], headers=rest)
    )
    moved: list[int] = []
    client_of(handler).download(ARTIFACT, tmp_path / "student.safetensors", moved.append)
    assert (tmp_path / "student.safetensors").read_bytes() == CONTENT
    assert seen[1].headers["Range"] == "bytes=3000-"
    assert sum(moved) == len(CONTENT)


def test_a_corrupt_download_is_fetched_once_more(tmp_path: Path) -> None:
    handler, _ = in_turn(httpx.Response(200, content=b"noise"), httpx.Response(200, content=CONTENT))
    client_of(handler).download(ARTIFACT, tmp_path / "student.safetensors")
    assert (tmp_path / "student.safetensors").read_bytes() == CONTENT


def test_a_download_corrupt_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DownloadCorruptError):
        client_of(lambda request: httpx.Response(200, content=b"noise")).download(ARTIFACT, tmp_path / "s")
    assert list(tmp_path.iterdir()) == []
