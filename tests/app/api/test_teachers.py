from __future__ import annotations

import base64
import hashlib

import pytest

from app.core.inspection_faults import INSPECTION_FAULTS
from app.core.states import UploadStatus
from app.db import tables


def test_an_accepted_teacher_is_answered_with_its_inspection(api):
    answer = api("PUT", "/v1/teachers/teacher.pt", params={"architecture": "wrn-10-1"}, content=b"weights")
    document = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/v1/teachers/{document['id']}"
    assert document["status"] == "ready"
    assert document["sha256"] == hashlib.sha256(b"weights").hexdigest()
    assert document["declared"]["architecture"] == "wrn-10-1"
    assert document["inspection"]["architecture"]["name"] == "wrn-10-2"


def test_the_same_bytes_are_the_same_teacher(api):
    first = api("PUT", "/v1/teachers/a.pt", content=b"weights")
    again = api("PUT", "/v1/teachers/b.pt", content=b"weights")
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()


def test_the_same_bytes_with_other_declarations_are_another_teacher(api):
    first = api("PUT", "/v1/teachers/a.pt", content=b"weights")
    again = api("PUT", "/v1/teachers/a.pt", params={"mean": "0.5,0.5,0.5"}, content=b"weights")
    assert again.status_code == 201
    assert again.json()["id"] != first.json()["id"]
    assert again.json()["declared"]["mean"] == [0.5, 0.5, 0.5]


def test_a_refused_teacher_answers_with_the_readers_code_and_leaves_nothing(api):
    api.inspector.refusal = {
        "code": "format_unknown",
        "detail": "It begins with 'hi'.",
        "hint": "Save weights.",
    }
    answer = api("PUT", "/v1/teachers/notes.txt", content=b"hello")
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (415, "format_unknown")
    assert (problem["detail"], problem["hint"]) == ("It begins with 'hi'.", "Save weights.")
    assert api.needed() == set()
    assert api("GET", "/v1/teachers").json()["data"] == []
    assert api("GET", "/v1/jobs", params={"kind": "inspect"}).json()["data"] == []


def test_a_readers_unlisted_code_is_422(api):
    api.inspector.refusal = {"code": "some_new_code", "detail": "d", "hint": "h"}
    answer = api("PUT", "/v1/teachers/a.pt", content=b"x")
    assert (answer.status_code, answer.json()["title"]) == (422, "Some new code")


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("child_killed", 503),
        ("child_protocol", 500),
        ("host_disk_full", 507),
        ("infrastructure", 503),
        ("internal_error", 500),
        ("out_of_memory", 503),
        ("program_missing", 503),
        ("sandbox_unavailable", 503),
        ("thread_limit", 503),
        ("time_limit", 503),
        ("disk_limit", 422),
        ("parser_limit", 422),
    ],
)
def test_a_failure_of_the_service_is_not_told_as_the_files(api, code, status):
    """A worker short of memory answered 422 and advised smaller batches in the recipe."""
    hint = "Choose smaller batches in the recipe, and retry."
    api.inspector.refusal = {"code": code, "detail": "d", "hint": hint}
    answer = api("PUT", "/v1/teachers/a.pt", content=b"x")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    if code in INSPECTION_FAULTS:
        assert "recipe" not in answer.json()["hint"]
        assert "retry" not in answer.json()["hint"]
    assert api("GET", "/v1/teachers").json()["data"] == []


def test_a_refused_teacher_can_be_uploaded_again(api):
    api.inspector.refusal = {"code": "truncated_file", "detail": "d", "hint": "h"}
    api("PUT", "/v1/teachers/a.pt", content=b"weights")
    api.inspector.refusal = None
    assert api("PUT", "/v1/teachers/a.pt", content=b"weights").status_code == 201


def test_an_inspection_that_takes_long_is_answered_with_202(api, settings):
    api.inspector.idle = True
    object.__setattr__(api.edge, "settings", settings.model_copy(update={"inspect_wait_s": 0.0}))
    answer = api("PUT", "/v1/teachers/a.pt", content=b"weights")
    assert (answer.status_code, answer.json()["status"]) == (202, "inspecting")
    assert answer.headers["retry-after"].isdigit()
    with api.edge.sessions.begin() as session:
        row = session.get_one(tables.Teacher, answer.json()["id"])
        row.status, row.error = UploadStatus.REJECTED, {"code": "zip_malformed", "detail": "d", "hint": "h"}
    later = api("GET", answer.headers["location"]).json()
    assert (later["status"], later["error"]["code"]) == ("rejected", "zip_malformed")


def test_a_teacher_is_not_sent_again_to_who_has_it(api):
    url = f"/v1/teachers/{api.teacher()}"
    first = api("GET", url)
    again = api("GET", url, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]


def test_what_a_worker_of_another_version_found_is_shown_without_what_this_one_does_not_know(api):
    """A field that an update had taken away made the teacher, and the page it was on, a 500."""
    teacher = api.teacher()
    with api.edge.sessions.begin() as session:
        row = session.get_one(tables.Teacher, teacher)
        row.inspection = {**row.inspection, "subnormals_flushed": 2}
    shown = api("GET", "/v1/teachers")
    assert shown.status_code == 200
    assert "subnormals_flushed" not in shown.json()["data"][0]["inspection"]


def test_pages_go_from_new_to_old_without_gaps(api):
    made = [api.teacher(f"weights {number}".encode()) for number in range(5)]
    seen, after = [], None
    while True:
        page = api("GET", "/v1/teachers", params={"limit": 2} | ({"after": after} if after else {})).json()
        seen += [teacher["id"] for teacher in page["data"]]
        after = page["next_after"]
        assert page["has_more"] == (after is not None)
        if after is None:
            break
    assert sorted(seen, reverse=True) == sorted(made, reverse=True)
    assert seen == sorted(seen, reverse=True)


def test_deleting_a_teacher_deletes_its_bytes(api):
    teacher_id = api.teacher()
    assert api("DELETE", f"/v1/teachers/{teacher_id}").status_code == 204
    assert api("GET", f"/v1/teachers/{teacher_id}").status_code == 404
    assert api.needed() == set()


def test_a_teacher_in_use_is_not_deleted(api):
    job = api("POST", "/v1/jobs", json={"kind": "audit", "teacher": api.teacher()}).json()
    answer = api("DELETE", f"/v1/teachers/{job['teacher']}")
    assert (answer.status_code, answer.json()["code"]) == (409, "upload_in_use")


@pytest.mark.parametrize(
    "parameters",
    [
        {"mean": "0.5"},
        {"mean": "a,b,c"},
        {"mean": "nan,0,0"},
        {"mean": "100,0,0"},
        {"std": "0,1,1"},
        {"num_classes": "1"},
        {"input_size": "1e9"},
        {"architecture": "../../etc"},
        {"tenant": "theirs"},
    ],
)
def test_wrong_declarations_are_refused_before_the_body_is_read(api, parameters):
    answer = api("PUT", "/v1/teachers/a.pt", params=parameters, content=b"weights")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert answer.json()["errors"][0]["pointer"] == f"query/{next(iter(parameters))}"
    assert api.blobs() == []


def test_a_declared_architecture_that_there_is_none_of_is_refused_before_the_body_is_read(api):
    answer = api("PUT", "/v1/teachers/a.pt", params={"architecture": "wrn-9-1"}, content=b"weights")
    assert (answer.status_code, answer.json()["code"]) == (422, "architecture_unknown")
    assert "wrn-10-1" in answer.json()["hint"]
    assert api.blobs() == []


@pytest.mark.parametrize("name", ["a\nb.pt", "a\\b.pt", "..", "a\0.pt", "a\u202eb", "x" * 256])
def test_file_names_that_cannot_be_shown_are_refused(api, name):
    quoted = "".join(f"%{byte:02X}" for byte in name.encode())
    answer = api("PUT", f"/v1/teachers/{quoted}", content=b"weights")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert name not in answer.text
    assert api.blobs() == []


def test_a_matching_content_digest_is_accepted(api):
    digest = base64.b64encode(hashlib.sha256(b"weights").digest()).decode()
    headers = {"Content-Digest": f"sha-512=:AAAA:, sha-256=:{digest}:"}
    assert api("PUT", "/v1/teachers/a.pt", content=b"weights", headers=headers).status_code == 201


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (f"sha-256=:{base64.b64encode(bytes(32)).decode()}:", "digest_mismatch"),
        ("sha-256=:AAAA:", "invalid_request"),
        ("sha-256=nonsense", "invalid_request"),
    ],
)
def test_a_wrong_content_digest_leaves_nothing(api, header, code):
    answer = api("PUT", "/v1/teachers/a.pt", content=b"weights", headers={"Content-Digest": header})
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert api.blobs() == []
