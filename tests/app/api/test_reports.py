from __future__ import annotations

import pytest

from app.core.states import JobStatus


@pytest.fixture
def finished(api):
    job_id = api.job()
    api.publish(job_id, "report.html", b"<h1>Backdoor found</h1>", "text/html; charset=utf-8")
    api.publish(job_id, "report.json", b'{"verdict":"detected"}', "application/json")
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
