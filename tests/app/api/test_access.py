"""Who may do what, and what a stranger can find out."""

from __future__ import annotations

import pytest

from app.core.ids import new_id
from app.core.states import Scope
from app.services import keys

ROUTES = [
    ("GET", "/v1/teachers/{teacher}"),
    ("DELETE", "/v1/teachers/{teacher}"),
    ("GET", "/v1/datasets/{dataset}"),
    ("DELETE", "/v1/datasets/{dataset}"),
    ("GET", "/v1/jobs/{job}"),
    ("POST", "/v1/jobs/{job}/cancel"),
    ("POST", "/v1/jobs/{job}/retry"),
    ("GET", "/v1/jobs/{job}/events"),
    ("GET", "/v1/jobs/{job}/report"),
    ("GET", "/v1/jobs/{job}/artifacts"),
    ("GET", "/v1/artifacts/{artifact}/content"),
    ("HEAD", "/v1/artifacts/{artifact}/content"),
]
MISSING = {"teacher": "tch", "dataset": "ds", "job": "job", "artifact": "art"}


@pytest.mark.parametrize(("method", "route"), ROUTES)
def test_a_foreign_id_is_answered_like_a_missing_one(api, method, route):
    job_id = api.job()
    ours = {
        "teacher": api.teacher(),
        "dataset": api.dataset("surrogate"),
        "job": job_id,
        "artifact": api.publish(job_id, "report.html", b"secret"),
    }
    theirs = api.make_key(Scope.SUBMIT, Scope.READ, tenant="theirs")
    headers = {"X-Request-Id": "same"}
    foreign = api(method, route.format(**ours), key=theirs, headers=headers)
    unused = {name: new_id(prefix) for name, prefix in MISSING.items()}
    missing = api(method, route.format(**unused), key=theirs, headers=headers)
    assert foreign.status_code == 404
    assert (foreign.content, foreign.headers) == (missing.content, missing.headers)


def test_a_stranger_cannot_use_our_things_in_a_job(api):
    theirs = api.make_key(Scope.SUBMIT, Scope.READ, tenant="theirs")
    headers = {"X-Request-Id": "same"}
    answers = [
        api("POST", "/v1/jobs", json={"kind": "audit", "teacher": teacher_id}, key=theirs, headers=headers)
        for teacher_id in (api.teacher(), new_id("tch"))
    ]
    assert answers[0].status_code == 422
    assert answers[0].content == answers[1].content


def test_lists_hold_only_our_own(api):
    api.job()
    theirs = api.make_key(Scope.READ, tenant="theirs")
    for route in ("/v1/teachers", "/v1/datasets", "/v1/jobs"):
        assert api("GET", route, key=theirs).json()["data"] == []


def test_the_same_bytes_of_two_tenants_are_two_teachers(api):
    theirs = api.make_key(Scope.SUBMIT, Scope.READ, tenant="theirs")
    assert api.teacher() != api.teacher(key=theirs)


@pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
def test_what_is_no_id_at_all_is_not_found(api):
    for route in ("/v1/jobs/%00", "/v1/teachers/x", "/v1/artifacts/%F0%9F%98%80/content"):
        assert api("GET", route).json()["code"] == "not_found"


@pytest.mark.parametrize(
    "header", [None, "Bearer", "Bearer prk_wrong", "Basic abc", "prk_wrong", "Bearer \xff"]
)
@pytest.mark.parametrize("route", ["/v1/jobs", "/v1/recipes"])
def test_without_a_valid_key_nothing_is_shown(api, header, route):
    headers = {} if header is None else {"Authorization": header.encode("latin-1")}
    answer = api("GET", route, key=None, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.json()["hint"]


def test_without_a_valid_key_no_body_is_read(api):
    async def unread():
        raise AssertionError("the body was read")
        yield b""

    headers = {"Content-Type": "application/json"}
    answer = api("POST", "/v1/jobs", key="prk_wrong", content=unread(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


def test_a_revoked_key_and_an_expired_one_are_no_keys(api):
    with api.edge.sessions.begin() as session:
        row, revoked = keys.create(session, "ours", "old", [Scope.READ])
        keys.revoke(session, "ours", row.id)
    expired = api.make_key(Scope.READ, ttl_s=-1)
    assert [api("GET", "/v1/jobs", key=key).status_code for key in (revoked, expired)] == [401, 401]


def test_a_reader_may_look_but_not_touch(api):
    reader = api.make_key(Scope.READ)
    assert api("GET", "/v1/jobs", key=reader).status_code == 200
    for method, route in (("PUT", "/v1/teachers/a.pt"), ("POST", f"/v1/jobs/{new_id('job')}/cancel")):
        answer = api(method, route, key=reader, content=b"x")
        assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")
        assert "submit" in answer.json()["detail"]


def test_a_submitter_may_not_look(api):
    submitter = api.make_key(Scope.SUBMIT)
    assert api("GET", "/v1/jobs", key=submitter).status_code == 403


def test_an_admin_may_do_everything(api):
    admin = api.make_key(Scope.ADMIN)
    assert api("GET", f"/v1/teachers/{api.teacher(key=admin)}", key=admin).status_code == 200
