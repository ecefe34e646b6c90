from __future__ import annotations

import asyncio
import hashlib
import json

import pytest
from sqlalchemy import func, select, update

from app.db import tables
from app.db.types import db_now

on_both_databases = pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)

KEY = {"Idempotency-Key": "3d2d7a0c-2d0f-4ab8-9c0a-6d7f2a4a3c10"}


def count_jobs(api):
    with api.edge.reading() as session:
        return session.scalar(select(func.count()).where(tables.Job.kind != "inspect"))


@on_both_databases
def test_a_repetition_gets_the_same_answer_and_makes_no_second_job(api):
    request = {"kind": "audit", "teacher": api.teacher()}
    first = api("POST", "/v1/jobs", json=request, headers=KEY)
    api("POST", f"/v1/jobs/{first.json()['id']}/cancel")
    again = api("POST", "/v1/jobs", json={**request, "device": "cpu"}, headers=KEY)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["location"] == first.headers["location"]
    assert (first.headers.get("idempotency-replayed"), again.headers["idempotency-replayed"]) == (
        None,
        "true",
    )
    assert count_jobs(api) == 1


def test_the_version_after_an_update_knows_the_request_again(api):
    """With the defaults in its fingerprint, one more field of the recipe made another request of it."""
    request = {"kind": "audit", "teacher": api.teacher(), "recipe": {"seed": 3}}
    api("POST", "/v1/jobs", json=request, headers=KEY)
    said = json.dumps(request, separators=(",", ":"))
    with api.edge.reading() as session:
        kept = session.scalar(select(tables.IdempotencyKey.request_sha256))
    assert kept == hashlib.sha256(f"POST /v1/jobs\n{said}".encode()).hexdigest()


@on_both_databases
def test_a_repeated_retry_makes_no_second_job(api):
    """Its answer was lost, the client asked again, and the job was computed twice."""
    job = api("POST", "/v1/jobs", json={"kind": "audit", "teacher": api.teacher()}).json()
    api("POST", f"/v1/jobs/{job['id']}/cancel")
    first, again = (api("POST", f"/v1/jobs/{job['id']}/retry", headers=KEY) for _ in range(2))
    assert (again.status_code, again.content) == (202, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    assert count_jobs(api) == 2
    other = api("POST", f"/v1/jobs/{first.json()['id']}/retry", headers=KEY)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def test_another_body_under_the_same_key_is_refused(api):
    request = {"kind": "audit", "teacher": api.teacher()}
    api("POST", "/v1/jobs", json=request, headers=KEY)
    answer = api("POST", "/v1/jobs", json={**request, "kind": "clean"}, headers=KEY)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert count_jobs(api) == 1


@on_both_databases
def test_fifty_at_once_make_one_job(api):
    request = {"kind": "audit", "teacher": api.teacher()}
    headers = {**KEY, "Authorization": f"Bearer {api.secret}"}

    async def all_at_once():
        posts = (api.http.post("/v1/jobs", json=request, headers=headers) for _ in range(50))
        return await asyncio.gather(*posts)

    answers = api.runner.run(all_at_once())
    accepted = {answer.content for answer in answers if answer.status_code == 202}
    refused = {answer.json()["code"] for answer in answers if answer.status_code != 202}
    assert len(accepted) == 1
    assert refused <= {"idempotency_key_in_use"}
    assert count_jobs(api) == 1


def test_a_refused_request_does_not_use_up_the_key(api):
    teacher_id = api.teacher()
    wrong = {"kind": "audit", "teacher": teacher_id, "data": {"labelled": "ds_" + "0" * 26}}
    assert api("POST", "/v1/jobs", json=wrong, headers=KEY).status_code == 422
    assert (
        api("POST", "/v1/jobs", json={"kind": "audit", "teacher": teacher_id}, headers=KEY).status_code == 202
    )


@on_both_databases
def test_job_and_key_commit_together_or_not_at_all(api, monkeypatch):
    """The API dies between the two: what is left is what a repetition finds."""
    request = {"kind": "audit", "teacher": api.teacher()}

    def killed(*_arguments, **_named):
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr("app.services.idempotency.remember", killed)
        assert api("POST", "/v1/jobs", json=request, headers=KEY).status_code == 500
    assert count_jobs(api) == 0
    assert api("POST", "/v1/jobs", json=request, headers=KEY).status_code == 202
    assert count_jobs(api) == 1


def test_keys_of_other_tenants_do_not_collide(api):
    theirs = api.make_key("submit", "read", tenant="theirs")
    answers = [
        api("POST", "/v1/jobs", json={"kind": "audit", "teacher": api.teacher(key=key)}, headers=KEY, key=key)
        for key in (api.secret, theirs)
    ]
    assert [answer.status_code for answer in answers] == [202, 202]


def test_an_expired_key_is_as_good_as_new(api):
    request = {"kind": "audit", "teacher": api.teacher()}
    first = api("POST", "/v1/jobs", json=request, headers=KEY)
    with api.edge.sessions.begin() as session:
        session.execute(update(tables.IdempotencyKey).values(expires_at=db_now(-1)))
    again = api("POST", "/v1/jobs", json=request, headers=KEY)
    assert again.status_code == 202
    assert again.json()["id"] != first.json()["id"]


@pytest.mark.parametrize("key", ["", "a b", "x" * 256])
def test_an_unusable_key_is_refused(api, key):
    request = {"kind": "audit", "teacher": api.teacher()}
    answer = api("POST", "/v1/jobs", json=request, headers={"Idempotency-Key": key})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "header/Idempotency-Key")
