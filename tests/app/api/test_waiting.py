from __future__ import annotations

import threading

import pytest
from sqlalchemy.exc import OperationalError

from app.api.waiting import preferred_wait_s
from app.core.states import Scope


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        (None, 0),
        ("wait=5", 5),
        ("respond-async, wait=10", 10),
        ('wait="7"; foo=1', 7),
        ("Wait = 3", 3),
        ("wait=999999", 60),
        ("wait=-1", 0),
        ("await=5", 0),
        ("wait=5s", 0),
        ("wait", 0),
    ],
)
def test_the_seconds_of_a_prefer_header(prefer, seconds):
    assert preferred_wait_s(prefer) == seconds


def test_waiting_ends_when_the_job_does(api):
    job_id = api.job()
    finisher = threading.Timer(0.1, api.finish, [job_id])
    finisher.start()
    answer = api("GET", f"/v1/jobs/{job_id}", headers={"Prefer": "wait=30"})
    finisher.join()
    assert answer.json()["status"] == "succeeded"
    assert answer.headers["preference-applied"] == "wait=30"


def test_waiting_ends_when_its_time_is_over(api):
    answer = post_waiting(api, "wait=1")
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    assert answer.headers["preference-applied"] == "wait=1"


def test_a_job_whose_database_is_lost_while_it_is_waited_for_is_accepted_all_the_same(api, monkeypatch):
    def lost(*_arguments):
        raise OperationalError("SELECT", {}, Exception("gone"))

    monkeypatch.setattr("app.api.jobs.jobs.status_of", lost)
    answer = post_waiting(api, "wait=30")
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    assert "preference-applied" not in answer.headers
    assert api("GET", answer.headers["Location"]).json()["id"] == answer.json()["id"]


def test_waiting_ends_with_its_key(api):
    job_id, secret = api.job(), api.make_key(Scope.READ)

    def happen():
        api.revoke(secret)
        api.finish(job_id)

    happening = threading.Timer(0.1, happen)
    happening.start()
    answer = api("GET", f"/v1/jobs/{job_id}", headers={"Prefer": "wait=30"}, key=secret)
    happening.join()
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


def test_a_job_whose_key_ends_while_it_is_waited_for_is_accepted_as_it_was(api):
    api.teacher()
    secret = api.make_key(Scope.SUBMIT)
    revoking = threading.Timer(0.7, api.revoke, [secret])
    revoking.start()
    answer = post_waiting(api, "wait=30", key=secret)
    revoking.join()
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    assert "preference-applied" not in answer.headers


def post_waiting(api, prefer, key=""):
    request = {"kind": "audit", "teacher": api.teacher()}
    return api("POST", "/v1/jobs", json=request, headers={"Prefer": prefer}, key=key)
