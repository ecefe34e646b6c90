from __future__ import annotations

import asyncio
import json
import threading

import pytest
from sqlalchemy import delete
from sqlalchemy.exc import InterfaceError, OperationalError, TimeoutError

from app.api import events
from app.core.states import EventKind, JobStatus, Scope
from app.db import tables

STREAM = {"Accept": "text/event-stream"}


def frames(text):
    """Return (id, event, data) of each message; the first block is the reconnection time."""
    messages = [
        dict(line.split(": ", 1) for line in block.split("\n")) for block in text.split("\n\n") if block
    ]
    return [(message["id"], message["event"], message["data"]) for message in messages if "id" in message]


def test_a_page_of_events_is_oldest_first(api):
    job_id = api.job()
    api.tell(job_id, EventKind.LOG, text="hello")
    page = api("GET", f"/v1/jobs/{job_id}/events").json()
    assert [(event["seq"], event["type"]) for event in page["data"]] == [(1, "status"), (2, "log")]
    assert page["data"][1]["data"] == {"text": "hello"}
    assert (page["has_more"], page["next_after"]) == (False, "2")


def test_pages_of_events_join_without_gaps(api):
    job_id = api.job()
    for number in range(6):
        api.tell(job_id, EventKind.LOG, text=str(number))
    seen, after = [], "0"
    while True:
        page = api("GET", f"/v1/jobs/{job_id}/events", params={"after": after, "limit": 3}).json()
        seen += [event["seq"] for event in page["data"]]
        after = page["next_after"]
        if not page["has_more"]:
            break
    assert seen == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
def test_the_stream_ends_with_done(api):
    job_id = api.job()
    api.finish(job_id, verdict="detected", accepted=True)
    answer = api("GET", f"/v1/jobs/{job_id}/events", headers=STREAM)
    assert answer.headers["content-type"].startswith("text/event-stream")
    sent = frames(answer.text)
    assert [event for _, event, _ in sent] == ["status", "status", "done"]
    assert json.loads(sent[-1][2]) == {
        "status": "succeeded",
        "verdict": "detected",
        "accepted": True,
        "error": None,
    }
    assert answer.text.startswith("retry: 2000\n\n")


def test_the_stream_goes_on_behind_the_last_event_id(api):
    job_id = api.job()
    api.tell(job_id, EventKind.LOG, text="line one\nline two")
    api.finish(job_id)
    answer = api("GET", f"/v1/jobs/{job_id}/events", headers={**STREAM, "Last-Event-ID": "1"})
    assert frames(answer.text)[0] == ("2", "log", '{"text":"line one\\nline two"}')


def test_a_stream_that_was_read_to_its_end_is_not_opened_again(api):
    job_id = api.job()
    api.finish(job_id)
    last = frames(api("GET", f"/v1/jobs/{job_id}/events", headers=STREAM).text)[-1][0]
    answer = api("GET", f"/v1/jobs/{job_id}/events", headers={**STREAM, "Last-Event-ID": last})
    assert (answer.status_code, answer.content) == (204, b"")


def test_the_stream_tells_what_happens_while_it_is_open(api):
    job_id = api.job()

    def happen():
        api.tell(job_id, EventKind.STAGE, stage="probe")
        api.finish(job_id, JobStatus.CANCELED)

    happening = threading.Timer(0.1, happen)
    happening.start()
    answer = api("GET", f"/v1/jobs/{job_id}/events", headers=STREAM)
    happening.join()
    assert [event for _, event, _ in frames(answer.text)] == ["status", "stage", "status", "done"]


def test_an_idle_stream_is_kept_alive(api, monkeypatch):
    monkeypatch.setattr("app.api.events.KEEPALIVE_S", 0.0)
    job_id = api.job()
    finishing = threading.Timer(0.1, api.finish, [job_id])
    finishing.start()
    answer = api("GET", f"/v1/jobs/{job_id}/events", headers=STREAM)
    finishing.join()
    assert ": ping\n\n" in answer.text


def test_the_stream_ends_when_its_job_is_deleted(api):
    teacher_id = api.teacher()
    api.inspector.idle = True
    job_id = api("POST", "/v1/jobs", json={"kind": "audit", "teacher": teacher_id}).json()["id"]

    def delete_it():
        with api.edge.sessions.begin() as session:
            session.execute(delete(tables.Event).where(tables.Event.job_id == job_id))
            session.execute(delete(tables.Job).where(tables.Job.id == job_id))

    deleting = threading.Timer(0.1, delete_it)
    deleting.start()
    answer = api("GET", f"/v1/jobs/{job_id}/events", headers=STREAM)
    deleting.join()
    assert len(frames(answer.text)) == 1


@pytest.mark.parametrize(
    "error",
    [OperationalError("SELECT", {}, Exception()), InterfaceError("SELECT", {}, Exception()), TimeoutError()],
)
def test_the_stream_ends_when_the_database_is_lost(api, monkeypatch, error):
    """Where no connection became free, the transfer broke off and the log had a fault of ours."""

    def lose(source, after, limit):
        raise error

    async def read():
        return [piece async for piece in events._Source(api.edge, None, "").stream(0)]

    monkeypatch.setattr(events._Source, "look", lose)
    assert api.runner.run(read()) == [b"retry: 2000\n\n"]


def test_a_tenant_cannot_hold_all_connections(api):
    """Streams are open for hours, and nothing counted them."""
    api.edge.streams.per_tenant = 2
    job_id = api.job()
    theirs = api.make_key(Scope.SUBMIT, Scope.READ, tenant="theirs")
    asked = {"kind": "audit", "teacher": api.teacher(key=theirs)}
    their_job = api("POST", "/v1/jobs", json=asked, key=theirs).json()["id"]

    async def follow(job, secret):
        headers = {**STREAM, "Authorization": f"Bearer {secret}"}
        return await api.http.get(f"/v1/jobs/{job}/events", headers=headers)

    async def follow_at_once():
        ours = [asyncio.create_task(follow(job_id, api.secret)) for _ in range(3)]
        await asyncio.wait(ours, return_when=asyncio.FIRST_COMPLETED)  # one is refused, two stay open
        other = asyncio.create_task(follow(their_job, theirs))
        while "theirs" not in api.edge.streams._open:
            await asyncio.sleep(0.01)
        for job in (job_id, their_job):
            await asyncio.to_thread(api.finish, job)
        return await asyncio.gather(*ours, other)

    *ours, other = api.runner.run(follow_at_once())
    assert sorted(answer.status_code for answer in ours) == [200, 200, 429]
    assert other.status_code == 200
    refused = next(answer for answer in ours if answer.status_code == 429)
    problem = refused.json()
    assert (problem["code"], problem["request_id"]) == ("too_many_streams", refused.headers["X-Request-Id"])
    assert "proctor watch" in problem["hint"] and refused.headers["Retry-After"]
    assert refused.headers["content-type"] == "application/problem+json"
    assert api("GET", f"/v1/jobs/{job_id}/events", headers=STREAM).status_code == 200


def test_a_stream_that_its_client_left_makes_room(api):
    job_id = api.job()

    async def leave():
        following = asyncio.create_task(
            api.http.get(
                f"/v1/jobs/{job_id}/events", headers={**STREAM, "Authorization": f"Bearer {api.secret}"}
            )
        )
        while not api.edge.streams._open:
            await asyncio.sleep(0.01)
        following.cancel()
        await asyncio.wait([following])

    api.runner.run(leave())
    assert not api.edge.streams._open


def test_the_stream_ends_with_its_key(api):
    """What happens after a key was revoked is not told to whoever holds it."""
    job_id, secret = api.job(), api.make_key(Scope.READ)

    def happen():
        api.revoke(secret)
        api.tell(job_id, EventKind.LOG, text="secret")
        api.finish(job_id)

    happening = threading.Timer(0.1, happen)
    happening.start()
    answer = api("GET", f"/v1/jobs/{job_id}/events", headers=STREAM, key=secret)
    happening.join()
    assert [event for _, event, _ in frames(answer.text)] == ["status"]
    again = api("GET", f"/v1/jobs/{job_id}/events", headers=STREAM, key=secret)
    assert (again.status_code, again.json()["code"]) == (401, "unauthenticated")


def test_the_stream_ends_when_its_key_expires(api):
    job_id, secret = api.job(), api.make_key(Scope.READ, ttl_s=1.0)
    happening = threading.Timer(1.5, api.finish, [job_id])
    happening.start()
    answer = api("GET", f"/v1/jobs/{job_id}/events", headers=STREAM, key=secret)
    happening.join()
    assert [event for _, event, _ in frames(answer.text)] == ["status"]


def test_events_in_no_form_we_have(api):
    answer = api("GET", f"/v1/jobs/{api.job()}/events", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.json()["code"]) == (406, "not_acceptable")


def test_a_wrong_last_event_id_is_refused(api):
    answer = api("GET", f"/v1/jobs/{api.job()}/events", headers={**STREAM, "Last-Event-ID": "x"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
