from __future__ import annotations

import pytest

from app.core.states import JobKind, JobStatus

SARIF = "application/sarif+json"


@pytest.fixture
def finished(api):
    job_id = api.job()
    api.publish(job_id, "report.html", b"<h1>Backdoor found</h1>", "text/html; charset=utf-8")
    api.publish(job_id, "report.json", b'{"verdict":"detected"}', "application/json")
    api.publish(job_id, "report.sarif", b'{"version":"2.1.0"}', SARIF)
    api.finish(job_id)
    return f"/v1/jobs/{job_id}/report"


def test_a_browser_gets_html_that_can_run_and_load_nothing(api, finished):
    answer = api("GET", finished, headers={"Accept": "text/html,*/*;q=0.8"})
    assert answer.text == "<h1>Backdoor found</h1>"
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "content-disposition" not in answer.headers
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "sandbox" in policy


def test_a_program_gets_json(api, finished):
    answer = api("GET", finished, headers={"Accept": "application/json"})
    assert answer.json() == {"verdict": "detected"}
    assert "accept" in answer.headers["vary"].lower()


def test_a_dashboard_gets_sarif(api, finished):
    answer = api("GET", finished, headers={"Accept": f"{SARIF}, application/json;q=0.5"})
    assert answer.json() == {"version": "2.1.0"}
    assert answer.headers["content-type"] == SARIF


@pytest.mark.parametrize(
    ("accept", "expected"), [("application/*", "application/json"), ("*/*", "text/html; charset=utf-8")]
)
def test_sarif_is_for_those_who_name_it(api, finished, accept, expected):
    assert api("GET", finished, headers={"Accept": accept}).headers["content-type"] == expected


@pytest.mark.parametrize("kind", [JobKind.DISTILL, JobKind.PROTECT])
def test_a_job_without_an_audit_offers_no_sarif(api, finished, kind):
    api.change(finished.split("/")[3], kind=kind)
    answer = api("GET", finished, headers={"Accept": SARIF})
    assert (answer.status_code, answer.json()["code"]) == (406, "not_acceptable")
    assert answer.json()["detail"] == "This is offered as text/html or application/json."
    either = {"Accept": f"{SARIF}, application/json;q=0.5"}
    assert api("GET", finished, headers=either).json() == {"verdict": "detected"}


def test_an_audit_of_an_earlier_version_left_no_sarif(api):
    job_id = api.job("audit")
    api.publish(job_id, "report.json", b"{}", "application/json")
    api.finish(job_id)
    answer = api("GET", f"/v1/jobs/{job_id}/report", headers={"Accept": SARIF})
    assert (answer.status_code, answer.json()["code"]) == (404, "report_not_available")
    assert answer.json()["detail"] == f"The job has succeeded and left no report as {SARIF}."


def test_a_report_in_no_form_we_have(api, finished):
    assert api("GET", finished, headers={"Accept": "application/pdf"}).json()["code"] == "not_acceptable"


def test_an_unfinished_job_says_when_to_ask_again(api):
    answer = api("GET", f"/v1/jobs/{api.job()}/report")
    assert (answer.status_code, answer.json()["code"]) == (409, "job_not_finished")
    assert answer.headers["retry-after"].isdigit()


def test_a_failed_job_has_no_report(api):
    job_id = api.job()
    api.finish(job_id, JobStatus.FAILED, error={"code": "c", "detail": "d", "hint": "h"})
    answer = api("GET", f"/v1/jobs/{job_id}/report")
    assert (answer.status_code, answer.json()["code"]) == (404, "report_not_available")


def test_a_canceled_job_was_canceled(api):
    job_id = api.job()
    api("POST", f"/v1/jobs/{job_id}/cancel")
    detail = api("GET", f"/v1/jobs/{job_id}/report").json()["detail"]
    assert detail.startswith("The job was canceled and left no report")
