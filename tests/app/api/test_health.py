from __future__ import annotations

import pytest
from sqlalchemy import update

from app.core.errors import Unavailable
from app.core.states import JobKind
from app.db.tables import UpkeepPass
from app.db.types import db_now
from app.services import upkeep_passes
from models.sandbox.level import level_of


def test_being_alive_needs_no_key(api):
    answer = api("GET", "/livez", key=None)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize(
    ("missing", "level"), [((), "full"), (("landlock",), "degraded")], ids=["full", "degraded"]
)
def test_being_ready_needs_no_key_and_tells_how_good_the_sandbox_is(api, monkeypatch, missing, level):
    monkeypatch.setattr("app.api.health.sandbox_level", lambda: level_of(missing))
    answer = api("GET", "/readyz", key=None)
    sandbox = {"level": level, "missing": list(missing), "mode": "degraded"}
    expected = {"status": "ok", "database": "ok", "blobs": "ok", "sandbox": sandbox, "upkeep_age_s": None}
    assert (answer.status_code, answer.json()) == (200, expected)


def test_it_is_not_ready_without_its_database(api):
    api.edge.engine.dispose()
    (api.edge.settings.home / "proctor.db").write_bytes(b"not a database" * 1000)
    answer = api("GET", "/readyz", key=None)
    assert (answer.status_code, answer.json()["code"]) == (503, "service_unavailable")


def test_it_is_not_ready_without_its_blob_store(api):
    folder = api.edge.settings.home / "blobs"
    folder.rename(folder.with_name("gone"))
    answer = api("GET", "/readyz", key=None)
    assert (answer.status_code, answer.json()["code"]) == (503, "service_unavailable")


def test_it_is_not_ready_when_its_blob_store_is_full(api, monkeypatch):
    def full():
        raise Unavailable("storage_full", "There is no space left to store the file.")

    monkeypatch.setattr(api.edge.blobs, "check", full)
    answer = api("GET", "/readyz", key=None)
    assert (answer.status_code, answer.json()["code"]) == (503, "service_unavailable")


def test_it_is_not_ready_when_its_disk_is_nearly_full(api, monkeypatch):
    """A file of no bytes could be made until the last inode, long after uploads had begun to fail."""
    least = api.edge.settings.min_free_bytes
    for free_bytes, status in ((least - 1, 503), (least, 200), (None, 200)):
        monkeypatch.setattr(api.edge.blobs, "free_bytes", lambda free_bytes=free_bytes: free_bytes)
        answer = api("GET", "/readyz", key=None)
        assert answer.status_code == status
    monkeypatch.setattr(api.edge.blobs, "free_bytes", lambda: 0)
    problem = api("GET", "/readyz", key=None).json()
    assert (problem["code"], "nearly full" in problem["detail"]) == ("service_unavailable", True)
    assert "PROCTOR_MIN_FREE_BYTES" in problem["hint"]


def test_no_connection_is_held_while_the_blob_store_is_asked(api, monkeypatch):
    """Fifteen requests that wait for a store once left no connection for all others."""
    job_id = api.job("audit")
    api.finish(job_id)
    held = []

    def ask(method, ask_for_real):
        def asked(*arguments):
            held.append(api.edge.engine.pool.checkedout())
            return ask_for_real(*arguments)

        monkeypatch.setattr(api.edge.blobs, method, asked)

    content = f"/v1/artifacts/{api.publish(job_id, 'report.html', b'<p>')}/content"
    ask("check", api.edge.blobs.check)
    ask("open", api.edge.blobs.open)
    for path in ("/readyz", content, f"/v1/jobs/{job_id}/report"):
        assert api("GET", path).status_code == 200
    assert held == [0, 0, 0]


def test_metrics_count_jobs_and_requests_by_route(api):
    job_id = api.job("audit")
    api("GET", f"/v1/jobs/{job_id}")
    text = api("GET", "/metrics", key=None).text
    assert 'proctor_jobs{kind="audit",status="queued"} 1.0' in text
    assert 'proctor_http_requests_total{method="GET",route="/v1/jobs/{job_id}",status="200"} 1.0' in text
    assert job_id not in text


def test_metrics_hold_one_series_for_all_unknown_routes(api):
    for number in range(3):
        api("BREW", f"/coffee/{number}")
    text = api("GET", "/metrics", key=None).text
    assert 'proctor_http_requests_total{method="OTHER",route="unmatched",status="404"} 3.0' in text
    assert "coffee" not in text


def test_every_kind_of_job_has_a_series_from_the_start(api):
    text = api("GET", "/metrics", key=None).text
    assert all(f'kind="{kind}"' in text for kind in JobKind)


@pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
def test_a_scheduler_that_died_is_seen_by_the_age_of_its_last_round(api):
    assert "proctor_upkeep_age_seconds" not in api("GET", "/metrics", key=None).text
    for _ in range(2):
        with api.edge.sessions.begin() as session:
            upkeep_passes.note(session)
    assert 0 <= api("GET", "/readyz", key=None).json()["upkeep_age_s"] < 60
    with api.edge.sessions.begin() as session:
        session.execute(update(UpkeepPass).values(done_at=db_now(-3600)))
    ready = api("GET", "/readyz", key=None)
    assert (ready.status_code, 3600 <= ready.json()["upkeep_age_s"] < 3660) == (200, True)
    lines = api("GET", "/metrics", key=None).text.splitlines()
    age = next(line for line in lines if line.startswith("proctor_upkeep_age_seconds "))
    assert 3600 <= float(age.split()[1]) < 3660


def test_the_version_is_the_packages(api):
    answer = api("GET", "/version", key=None).json()
    assert (answer["name"], answer["api"]) == ("proctor", "v1")
