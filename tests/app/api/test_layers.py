"""A teacher that comes with a layer list, over HTTP."""

from __future__ import annotations

import json

import pytest

from app.core.states import UploadStatus
from app.db import tables
from app.schemas.layers import LAYER_LIST
from models.recipes.layer_list.identity import document, layers_sha256
from tests.app.schemas.hostile_layers import HOSTILE
from tests.layer_lists import LENET, RESIDUAL


def put(api, layers, content=b"weights", **params):
    text = layers if isinstance(layers, str) else json.dumps(layers)
    return api("PUT", "/v1/teachers/net.pt", params={"layers": text, **params}, content=content)


def test_the_layer_list_is_kept_with_the_teacher(api):
    answer = put(api, LENET)
    assert answer.status_code == 201
    declared = answer.json()["declared"]["layers"]
    assert declared["input_size"] == 28
    assert [layer["type"] for layer in declared["layers"]] == [layer["type"] for layer in LENET["layers"]]
    assert declared["layers"][0]["bias"] is True  # written out, where the description left it to the default
    with api.edge.sessions.begin() as session:
        row = session.get_one(tables.Teacher, answer.json()["id"])
        assert row.declared == {"layers": LENET}


def test_equal_descriptions_are_one_teacher_and_others_are_others(api):
    first = put(api, LENET)
    spelled = {**LENET, "layers": [{"stride": 1, **LENET["layers"][0]}, *LENET["layers"][1:]]}
    again = put(api, json.dumps(spelled, indent=1, sort_keys=True))
    assert (again.status_code, again.json()) == (200, first.json())
    other = put(api, RESIDUAL)
    assert (other.status_code, other.json()["id"] == first.json()["id"]) == (201, False)
    assert put(api, LENET, num_classes=10).json()["id"] not in {first.json()["id"], other.json()["id"]}


def test_conditional_requests_see_the_description(api):
    first, other = put(api, LENET), put(api, RESIDUAL)
    urls = [f"/v1/teachers/{answer.json()['id']}" for answer in (first, other)]
    tags = [api("GET", url).headers["etag"] for url in urls]
    assert tags[0] != tags[1]
    assert api("GET", urls[0], headers={"If-None-Match": tags[0]}).status_code == 304


@pytest.mark.parametrize("row", HOSTILE, ids=[row[0] for row in HOSTILE])
def test_a_hostile_description_is_a_problem_and_stores_nothing(api, row):
    _, text, code, words = row
    answer = put(api, text)
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["status"]) == (422, code, 422)
    assert words in problem["detail"]
    assert problem["hint"]
    assert answer.headers["content-type"] == "application/problem+json"
    assert api.blobs() == []
    assert api.inspector.rang == []


def test_a_name_and_a_description_contradict_each_other(api):
    answer = put(api, LENET, architecture="wrn-16-2")
    assert (answer.status_code, answer.json()["code"]) == (422, "layers_invalid")


def test_an_inspection_with_layers_is_shown_and_used(api):
    """The stand-in inspector knows no layers, so its row is rewritten as the worker would have written it."""
    described = LAYER_LIST.validate_python(LENET)
    teacher = put(api, LENET).json()["id"]
    with api.edge.sessions.begin() as session:
        row = session.get_one(tables.Teacher, teacher)
        name = f"layers-{layers_sha256(described)[:12]}"
        spec = {"name": name, "num_classes": 10, "input_size": 28, "layers": document(described)}
        row.status = UploadStatus.READY
        row.inspection = {
            **(row.inspection or {}), "architecture": spec, "layers_sha256": layers_sha256(described),
            "layers_summary": "2 convolutions, 3 linear layers.",
        }  # fmt: skip
    shown = api("GET", f"/v1/teachers/{teacher}").json()["inspection"]
    assert shown["architecture"]["name"] == name
    assert LAYER_LIST.validate_python(shown["architecture"]["layers"]) == described
    assert shown["layers_sha256"] == layers_sha256(described)
    assert api("POST", "/v1/jobs", json={"kind": "audit", "teacher": teacher}).status_code == 202


def test_a_registry_teacher_has_no_layers(api):
    document = api("GET", f"/v1/teachers/{api.teacher()}").json()
    assert document["declared"]["layers"] is None
    assert document["inspection"]["architecture"]["layers"] is None
    assert document["inspection"]["layers_sha256"] is None
