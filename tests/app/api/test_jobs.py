from __future__ import annotations

import base64
import json

import pytest

from app.core.ids import new_id
from app.core.states import JobStatus, Stage
from app.db import tables

JSON = {"Content-Type": "application/json"}
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()


def post(api, **fields):
    return api("POST", "/v1/jobs", json={"kind": "clean", "teacher": api.teacher(), **fields})


def test_a_job_is_accepted_with_every_default_filled_in(api):
    answer = post(api, recipe={"seed": 7}, labels={"team": "vision"})
    job = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == job["links"]["self"] == f"/v1/jobs/{job['id']}"
    assert answer.headers["retry-after"].isdigit()
    assert (job["status"], job["kind"], job["device"], job["timeout_s"]) == ("queued", "clean", "cpu", 600.0)
    assert (job["recipe"]["seed"], job["recipe"]["defense"]) == (7, "auto")
    assert api.inspector.rang[-1] == job["id"]


def test_whole_numbers_and_lists_are_taken_where_a_recipe_has_fractions_and_tuples(api):
    recipe = {"clip": {"quantiles": [0.9, 0.95]}, "protect": {"temperature": 4}}
    trigger = {"name": "t", "target_label": 1, "catalog": "ring", "opacity": 1}
    stored = post(api, recipe=recipe, triggers=[trigger], timeout_s=60).json()["recipe"]
    assert (stored["clip"]["quantiles"], stored["protect"]["temperature"]) == ([0.9, 0.95], 4.0)


def test_a_job_reads_the_same_afterwards(api):
    job = post(api).json()
    assert api("GET", job["links"]["self"]).json() == job


def test_a_picture_of_a_trigger_is_kept_but_not_repeated(api):
    trigger = {"name": "square", "target_label": 3, "png": PNG, "kind": "blend", "opacity": 0.2}
    job = post(api, triggers=[trigger]).json()
    assert job["triggers"] == [
        {"name": "square", "target_label": 3, "kind": "blend", "catalog": None, "opacity": 0.2}
    ]
    with api.edge.reading() as session:
        assert session.get_one(tables.Job, job["id"]).triggers[0]["png"] == PNG


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"kind": "inspect"}, "/kind"),
        ({"kind": "steal"}, "/kind"),
        ({"recipe": {"protect": {"omega": 0}}}, "/recipe/protect/omega"),
        ({"tenant": "theirs"}, "/tenant"),
        ({"status": "succeeded"}, "/status"),
        ({"recipe": {"seed": -1}}, "/recipe/seed"),
        ({"recipe": {"abd": {"a/b~c": 1}}}, "/recipe/abd/a~1b~0c"),
        ({"timeout_s": 0}, "/timeout_s"),
        ({"timeout_s": "60"}, "/timeout_s"),
        ({"timeout_s": True}, "/timeout_s"),
        ({"recipe": {"seed": True}}, "/recipe/seed"),
        ({"recipe": {"seed": "1"}}, "/recipe/seed"),
        ({"recipe": {"seed": 1.0}}, "/recipe/seed"),
        ({"recipe": {"control": "yes"}}, "/recipe/control"),
        ({"recipe": {"protect": {"omega": "0.04"}}}, "/recipe/protect/omega"),
        ({"recipe": []}, "/recipe"),
        ({"triggers": [{"name": "t", "target_label": True, "catalog": "ring"}]}, "/triggers/0/target_label"),
        (
            {"triggers": [{"name": "t", "target_label": 1, "catalog": "ring", "opacity": "1"}]},
            "/triggers/0/opacity",
        ),
        ({"device": "tpu"}, "/device"),
        ({"labels": {"a b": "c"}}, "/labels/a b/[key]"),
        ({"triggers": [{"name": "t", "target_label": 1, "png": "!!!"}]}, "/triggers/0/png"),
        ({"triggers": [{"name": "t", "target_label": 1, "png": "AAAA"}]}, "/triggers/0/png"),
        ({"triggers": [{"name": "t", "target_label": 1}]}, "/triggers/0"),
        ({"triggers": [{"name": "t", "target_label": 1, "catalog": "ring"}] * 9}, "/triggers"),
        ({"triggers": [{"name": "t", "target_label": 1, "catalog": "ring"}] * 2}, "/triggers"),
        ({"triggers": [{"name": "t", "target_label": 10, "catalog": "ring"}]}, "/triggers/0/target_label"),
        ({"triggers": [{"name": "t", "target_label": 1, "catalog": "bogus"}]}, "/triggers/0/catalog"),
        ({"teacher": new_id("tch")}, "/teacher"),
        ({"data": {"labelled": new_id("ds")}}, "/data/labelled"),
    ],
)
def test_a_wrong_field_is_named(api, fields, pointer):
    answer = post(api, **fields)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]


def test_a_dataset_in_another_role_is_refused(api):
    answer = post(api, data={"labelled": api.dataset("surrogate")})
    assert answer.json()["errors"][0]["pointer"] == "/data/labelled"


@pytest.mark.parametrize(
    ("recipe", "code"),
    [
        ({"method": "robustkd"}, "data_missing"),
        ({"method": "vanilla", "defense": "abd"}, "data_missing"),
        ({"student": {"architecture": "wrn-9-1"}}, "architecture_unknown"),
        ({"student": {"architecture": "timm-resnet18"}}, "recipe_invalid"),
    ],
)
def test_a_recipe_that_cannot_work_is_refused_at_once(api, recipe, code):
    answer = post(api, recipe=recipe)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert answer.json()["hint"]


@pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
def test_a_network_of_ones_own_can_be_protected(api):
    data = {"labelled": api.dataset("clean_labelled")}
    answer = post(api, kind="protect", data=data, recipe={"protect": {"omega": 0.02}})
    assert answer.status_code == 202
    job = answer.json()
    assert (job["kind"], job["recipe"]["protect"]["omega"]) == ("protect", 0.02)
    assert api("GET", "/v1/jobs", params={"kind": "protect"}).json()["data"][0]["id"] == job["id"]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, "data_missing"),
        ({"role": "clean_unlabelled"}, "data_missing"),
        (
            {"role": "clean_labelled", "recipe": {"protect": {"harm": {"architecture": "x"}}}},
            "architecture_unknown",
        ),
        ({"role": "clean_labelled", "recipe": {"protect": {"milestones": [0.5]}}}, "recipe_invalid"),
        (
            {"role": "clean_labelled", "triggers": [{"name": "t", "target_label": 1, "catalog": "haze"}]},
            "recipe_invalid",
        ),
    ],
)
def test_a_protection_that_cannot_work_is_refused_at_once(api, fields, code):
    wanted = dict(fields)
    role = wanted.pop("role", None)
    if role is not None:
        wanted["data"] = {role.removeprefix("clean_"): api.dataset(role)}
    answer = post(api, kind="protect", **wanted)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert answer.json()["hint"]


@pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
def test_text_that_no_database_can_hold_is_refused(api):
    for text in ("\0", "\ud800"):
        body = {"kind": "audit", "teacher": api.teacher(), "labels": {"key": text}}
        assert api("POST", "/v1/jobs", content=json.dumps(body), headers=JSON).status_code == 422
        body = {"kind": "audit", "teacher": api.teacher(), "recipe": {"student": {"architecture": text}}}
        assert api("POST", "/v1/jobs", content=json.dumps(body), headers=JSON).status_code == 422
    for parameters in ({"label": "key:\0"}, {"after": "\0"}):
        assert api("GET", "/v1/jobs", params=parameters).status_code == 422
    answer = api("PUT", "/v1/teachers/a.pt", params={"state_dict_key": "\0"}, content=b"weights")
    assert answer.status_code == 422


def test_an_audit_does_not_mind_how_a_student_would_be_made(api):
    assert post(api, kind="audit", recipe={"method": "robustkd"}).status_code == 202


def test_a_job_for_an_upload_that_is_still_inspected_may_be_sent_again(api, settings):
    api.inspector.idle = True
    object.__setattr__(api.edge, "settings", settings.model_copy(update={"inspect_wait_s": 0.0}))
    teacher_id = api("PUT", "/v1/teachers/a.pt", content=b"weights").json()["id"]
    answer = api("POST", "/v1/jobs", json={"kind": "audit", "teacher": teacher_id})
    assert (answer.status_code, answer.json()["code"]) == (409, "upload_not_ready")
    assert answer.headers["retry-after"]


def test_retry_after_ends_with_the_job(api):
    job_id = api.job()
    api.change(job_id, status=JobStatus.RUNNING, progress_done=1, progress_total=9, progress_eta_s=100.0)
    running = api("GET", f"/v1/jobs/{job_id}")
    assert (running.headers["retry-after"], running.json()["progress"]["eta_s"]) == ("10", 100.0)
    api.finish(job_id)
    assert "retry-after" not in api("GET", f"/v1/jobs/{job_id}").headers


def test_a_job_is_sent_again_only_after_it_changed(api):
    job_id = api.job()
    etag = api("GET", f"/v1/jobs/{job_id}").headers["etag"]
    assert api("GET", f"/v1/jobs/{job_id}", headers={"If-None-Match": etag}).status_code == 304
    api.change(job_id, status=JobStatus.RUNNING)
    assert api("GET", f"/v1/jobs/{job_id}", headers={"If-None-Match": etag}).status_code == 200


def test_a_succeeded_job_links_to_its_results(api):
    job_id = api.job()
    student = api.publish(job_id, "student.safetensors", b"weights")
    other = api.publish(job_id, "undefended.safetensors", b"other weights")
    with api.edge.sessions.begin() as session:
        for role, artifact_id in (("defended", student), ("undefended", other)):
            session.add(
                tables.Student(
                    job_id=job_id,
                    role=role,
                    method="ood",
                    defense="abd",
                    architecture="w",
                    artifact_id=artifact_id,
                )
            )
    api.finish(job_id, verdict="detected", target_label=3, accepted=True, result={"probe": {}})
    links = api("GET", f"/v1/jobs/{job_id}").json()["links"]
    assert links["student"] == f"/v1/artifacts/{student}/content"
    assert links["report"] == f"/v1/jobs/{job_id}/report"
    assert (links["cancel"], links["retry"]) == (None, None)
    assert api("GET", "/v1/jobs").json()["data"][0]["links"] == links


def test_a_failed_job_says_why_in_the_form_of_a_problem(api):
    job_id = api.job()
    error = {"code": "non_finite", "detail": "The loss is NaN.", "hint": "Lower the learning rate."}
    api.finish(job_id, JobStatus.FAILED, error=error, stage=Stage.DISTILL)
    job = api("GET", f"/v1/jobs/{job_id}").json()
    assert (job["status"], job["error"]) == ("failed", error)
    assert job["links"]["retry"] == f"/v1/jobs/{job_id}/retry"


def test_canceling_stops_a_queued_job_and_leaves_a_finished_one(api):
    job_id = api.job()
    answer = api("POST", f"/v1/jobs/{job_id}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (202, "canceled")
    again = api("POST", f"/v1/jobs/{job_id}/cancel")
    assert (again.status_code, again.json()) == (202, answer.json())


def test_an_inspection_cannot_be_canceled(api):
    api.teacher()
    inspection = api("GET", "/v1/jobs", params={"kind": "inspect"}).json()["data"][0]
    answer = api("POST", f"/v1/jobs/{inspection['id']}/cancel")
    assert (answer.status_code, answer.json()["code"]) == (409, "job_not_cancelable")


def test_a_retry_is_a_new_job(api):
    job_id = api.job()
    assert api("POST", f"/v1/jobs/{job_id}/retry").json()["code"] == "job_not_finished"
    api.finish(job_id, JobStatus.FAILED, error={"code": "c", "detail": "d", "hint": "h"})
    answer = api("POST", f"/v1/jobs/{job_id}/retry")
    assert (answer.status_code, answer.json()["retry_of"]) == (202, job_id)
    assert answer.headers["location"] != f"/v1/jobs/{job_id}"


@pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
def test_jobs_are_found_by_status_kind_and_label(api):
    teacher_id = api.teacher()
    audit, clean = (
        api("POST", "/v1/jobs", json={"kind": kind, "teacher": teacher_id, "labels": {"k": kind}}).json()[
            "id"
        ]
        for kind in ("audit", "clean")
    )
    api.finish(audit)
    for parameters, expected in (
        ({"status": "succeeded"}, [audit]),
        ({"kind": "clean"}, [clean]),
        ({"label": "k:audit"}, [audit]),
        ({"label": "k:none"}, []),
        ({}, [clean, audit]),
    ):
        assert [job["id"] for job in api("GET", "/v1/jobs", params=parameters).json()["data"]] == expected


@pytest.mark.parametrize("parameters", [{"status": "done"}, {"limit": 0}, {"limit": 101}, {"q": "1"}])
def test_a_wrong_filter_is_refused(api, parameters):
    assert api("GET", "/v1/jobs", params=parameters).json()["code"] == "invalid_request"
