from __future__ import annotations

import pytest

from app.db import tables


@pytest.mark.parametrize("role", ["clean_labelled", "clean_unlabelled", "surrogate"])
def test_an_accepted_dataset_is_answered_with_its_inspection(api, role):
    answer = api("PUT", "/v1/datasets/images.zip", params={"role": role}, content=b"images")
    document = answer.json()
    assert (answer.status_code, document["status"], document["role"]) == (201, "ready", role)
    assert document["inspection"]["images"] == 2
    assert api("GET", answer.headers["location"]).json() == document


@pytest.mark.parametrize("parameters", [{}, {"role": "training"}, {"role": "surrogate", "owner": "x"}])
def test_a_dataset_needs_a_known_role_and_nothing_else(api, parameters):
    answer = api("PUT", "/v1/datasets/images.zip", params=parameters, content=b"images")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


def test_the_same_bytes_in_another_role_are_another_dataset(api):
    assert api.dataset("surrogate") != api.dataset("clean_unlabelled")


def test_a_refused_dataset_leaves_nothing(api):
    api.inspector.refusal = {"code": "image_unreadable", "detail": "cat/1.png", "hint": "Remove it."}
    answer = api("PUT", "/v1/datasets/images.zip", params={"role": "surrogate"}, content=b"images")
    assert (answer.status_code, answer.json()["code"]) == (422, "image_unreadable")
    assert api("GET", "/v1/datasets").json()["data"] == []
    assert api.needed() == set()


def test_deleting_one_role_keeps_the_bytes_for_the_other(api):
    kept, gone = api.dataset("surrogate"), api.dataset("clean_unlabelled")
    assert api("DELETE", f"/v1/datasets/{gone}").status_code == 204
    assert len(api.needed()) == 1
    assert api("DELETE", f"/v1/datasets/{kept}").status_code == 204
    assert api.needed() == set()


def test_a_dataset_that_a_waiting_job_needs_is_not_deleted(api):
    dataset_id = api.dataset("surrogate")
    request = {"kind": "clean", "teacher": api.teacher(), "data": {"surrogate": dataset_id}}
    assert api("POST", "/v1/jobs", json=request).status_code == 202
    assert api("DELETE", f"/v1/datasets/{dataset_id}").json()["code"] == "upload_in_use"


def test_what_a_worker_of_another_version_found_is_shown_without_what_this_one_does_not_know(api):
    dataset = api.dataset("clean_labelled")
    with api.edge.sessions.begin() as session:
        row = session.get_one(tables.Dataset, dataset)
        row.inspection = {**row.inspection, "blurred": 2}
    shown = api("GET", f"/v1/datasets/{dataset}")
    assert shown.status_code == 200
    assert "blurred" not in shown.json()["inspection"]
