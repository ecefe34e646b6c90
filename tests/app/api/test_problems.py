"""Every refusal has the same form, and gives nothing away."""

from __future__ import annotations

import asyncio
import errno
import re

import pytest
from sqlalchemy.exc import OperationalError

from app.api.problem_types import PROBLEM_TYPES
from app.api.problems import MEDIA_TYPE, pointer_of
from app.db.base import make_engine
from app.infra.blobs import StoreUnreachable
from app.schemas.problem import Problem


def refuse(api, status, code, *arguments, **named):
    answer = api(*arguments, **named)
    problem = Problem.model_validate_json(answer.content)
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert (answer.status_code, problem.status, problem.code) == (status, status, code)
    assert problem.type == f"urn:proctor:problem:{code}"
    assert problem.title
    assert problem.detail
    assert problem.hint
    assert answer.headers["x-request-id"] == problem.request_id
    return answer


@pytest.mark.parametrize(
    ("status", "code", "method", "url"),
    [
        (404, "route_not_found", "GET", "/nothing"),
        (404, "route_not_found", "GET", "/v1/teachers/"),
        (404, "route_not_found", "GET", "/v1/jobs/x/y/z"),
        (405, "method_not_allowed", "PATCH", "/v1/jobs"),
        (405, "method_not_allowed", "POST", "/livez"),
        (406, "not_acceptable", "GET", "/v1/jobs/{job}/events"),
    ],
)
def test_the_framework_refuses_in_our_form(api, status, code, method, url):
    refuse(api, status, code, method, url.format(job=api.job()), headers={"Accept": "image/png"})


def test_a_wrong_method_is_told_the_right_ones(api):
    answer = refuse(api, 405, "method_not_allowed", "PATCH", f"/v1/teachers/{api.teacher()}")
    assert {method.strip() for method in answer.headers["allow"].split(",")} == {"PUT", "GET", "DELETE"}


@pytest.mark.parametrize(
    "body", [b"{", b"\xff\xfe", b"[" * 20_000, b'{"kind": "audit",}', b"nonsense"], ids=range(5)
)
def test_a_body_that_is_not_json(api, body):
    answer = api("POST", "/v1/jobs", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) in {(400, "malformed_body"), (400, "bad_request")}


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"3", b'"x"'])
def test_a_body_of_the_wrong_shape(api, body):
    refuse(
        api,
        422,
        "invalid_request",
        "POST",
        "/v1/jobs",
        content=body,
        headers={"Content-Type": "application/json"},
    )


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", None])
def test_a_body_of_the_wrong_media_type(api, media_type):
    headers = {} if media_type is None else {"Content-Type": media_type}
    refuse(
        api, 415, "unsupported_media_type", "POST", "/v1/jobs", content=b'{"kind":"audit"}', headers=headers
    )


def test_a_body_that_is_too_large(api):
    headers = {"Content-Type": "application/json"}
    refuse(api, 413, "body_too_large", "POST", "/v1/jobs", content=b" " * 50_001, headers=headers)


def test_a_body_that_is_too_large_and_does_not_say_so(api):
    async def chunks():
        for _ in range(51):
            yield b" " * 1000

    headers = {"Content-Type": "application/json"}
    refuse(api, 413, "body_too_large", "POST", "/v1/jobs", content=chunks(), headers=headers)


@pytest.mark.parametrize("drip", [False, True], ids=["stalls", "drips"])
def test_a_body_that_does_not_end(api, monkeypatch, drip):
    monkeypatch.setattr("app.api.request_context.BODY_TIMEOUT_S", 0.2)

    async def endless():
        yield b"{"
        while drip:
            yield b" "
            await asyncio.sleep(0.01)
        await asyncio.Event().wait()

    headers = {"Content-Type": "application/json"}
    refuse(api, 408, "body_timed_out", "POST", "/v1/jobs", content=endless(), headers=headers)


def test_an_answer_may_take_longer_than_a_body(api, monkeypatch):
    """Waiting for a job asks all the time whether the client is still there, long after the body's end."""
    monkeypatch.setattr("app.api.request_context.BODY_TIMEOUT_S", 0.2)
    answer = api("GET", f"/v1/jobs/{api.job()}", headers={"Prefer": "wait=1"})
    assert (answer.status_code, answer.headers["preference-applied"]) == (200, "wait=1")


def test_ten_thousand_faults_get_a_short_answer(api):
    body = {"kind": "audit", "teacher": "x", **{f"field{number}": number for number in range(2000)}}
    answer = refuse(api, 422, "invalid_request", "POST", "/v1/jobs", json=body)
    assert len(answer.json()["errors"]) == 20
    assert len(answer.content) < 5000


def test_what_was_sent_is_not_repeated(api):
    answer = api(
        "POST", "/v1/jobs", json={"kind": "my-secret", "teacher": "my-secret", "device": "my-secret"}
    )
    assert "my-secret" not in answer.text


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (RuntimeError("/srv/secret SELECT * FROM keys"), 500, "internal_error"),
        (PermissionError(errno.EACCES, "denied", "/srv/secret"), 500, "internal_error"),
        (OSError(errno.ENOSPC, "full", "/srv/secret"), 507, "storage_full"),
        (StoreUnreachable("/srv/secret"), 503, "service_unavailable"),
        (OperationalError("SELECT secret", {}, Exception("/srv/secret")), 503, "service_unavailable"),
    ],
)
def test_our_own_failures_give_nothing_away(api, monkeypatch, error, status, code):
    def fail(*_arguments, **_named):
        raise error

    monkeypatch.setattr("app.services.jobs.page", fail)
    answer = refuse(api, status, code, "GET", "/v1/jobs")
    assert not re.search(r"secret|select|traceback|\.py|/srv|/app", answer.text, re.IGNORECASE)
    assert ("retry-after" in answer.headers) == (status == 503)


def test_a_database_without_room_is_not_one_that_does_not_answer(api, tmp_path):
    """SQLite's full disk was 503, and clients asked again for what only an operator brings back."""
    engine = make_engine(f"sqlite:///{tmp_path}/small.db")
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 2")
        connection.exec_driver_sql("CREATE TABLE one (content BLOB)")
        with pytest.raises(OperationalError, match="full") as caught:
            connection.exec_driver_sql("INSERT INTO one VALUES (zeroblob(100000))")
    engine.dispose()

    def fail(*_arguments, **_named):
        raise caught.value

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("app.services.jobs.page", fail)
        answer = refuse(api, 507, "storage_full", "GET", "/v1/jobs")
    assert "operator" in answer.json()["hint"]
    assert "retry-after" not in answer.headers


@pytest.mark.parametrize(
    ("offered", "kept"), [("abc-1.2:3", True), ("a b", False), ("x" * 65, False), ("\x1b[31m", False)]
)
def test_a_harmless_request_id_is_kept(api, offered, kept):
    answer = api("GET", "/livez", headers={"X-Request-Id": offered})
    assert (answer.headers["x-request-id"] == offered) is kept
    assert re.fullmatch(r"[A-Za-z0-9_.:-]{1,64}", answer.headers["x-request-id"])


@pytest.mark.parametrize("code", sorted(PROBLEM_TYPES))
def test_every_code_says_what_to_do(code):
    kind = PROBLEM_TYPES[code]
    assert re.fullmatch(r"[a-z][a-z0-9_]+", code)
    assert 400 <= kind.status < 600
    assert kind.title
    assert kind.hint.endswith((".", "?"))


@pytest.mark.parametrize(
    ("location", "pointer"),
    [
        (("body",), ""),
        (("body", "a", 0, "b"), "/a/0/b"),
        (("body", "a/b~"), "/a~1b~0"),
        (("query", "q"), "query/q"),
    ],
)
def test_the_place_of_a_fault(location, pointer):
    assert pointer_of(location) == pointer


def test_an_unknown_architecture_need_not_be_one_of_weights():
    title = PROBLEM_TYPES["architecture_unknown"].title
    assert "name" in title.split() and "weights" in title.split()
