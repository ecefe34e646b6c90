from __future__ import annotations

import json
import re
from importlib.metadata import version
from pathlib import Path

import pytest
from openapi_spec_validator import validate

from app.api.openapi_file import document
from app.api.problem_types import PROBLEM_TYPES
from app.schemas.jobs import JobRequest

DOCS = Path(__file__).parents[3] / "docs"
METHODS = {"get", "put", "post", "delete", "head", "patch"}


@pytest.fixture(scope="module")
def written():
    return document()


def operations(written):
    for path, item in written["paths"].items():
        for method, operation in item.items():
            if method in METHODS:
                yield f"{method.upper()} {path}", operation


def test_the_committed_document_is_the_current_one(written):
    committed = json.loads((DOCS / "openapi.json").read_text(encoding="utf-8"))
    if any(version(name) != used for name, used in committed["x-generated-with"].items()):
        pytest.skip("written with another release of FastAPI or Pydantic")
    message = "run: python -m app.api.openapi_file docs/openapi.json"
    assert committed == json.loads(json.dumps(written)), message


def test_the_document_is_valid(written):
    validate(json.loads(json.dumps(written)))


def test_every_operation_has_an_id_of_its_own(written):
    ids = [operation["operationId"] for _, operation in operations(written)]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)+", operation_id) for operation_id in ids)


def test_every_refusal_is_a_problem_with_an_example(written):
    for name, operation in operations(written):
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                assert set(response["content"]) == {"application/problem+json"}, (name, status)
                examples = response["content"]["application/problem+json"]["examples"]
                assert all(example["value"]["status"] == int(status) for example in examples.values())


def test_every_operation_under_v1_needs_a_key_and_says_what_refuses_it(written):
    for name, operation in operations(written):
        if " /v1/" in name:
            assert operation["security"] == [{"ApiKey": []}], name
            assert {"401", "403", "422", "500", "503"} <= set(operation["responses"]), name
        else:
            assert "security" not in operation, name


def test_links_lead_to_operations_that_exist(written):
    known = {operation["operationId"]: operation for _, operation in operations(written)}
    links = [
        link
        for _, operation in operations(written)
        for response in operation["responses"].values()
        for link in response.get("links", {}).values()
    ]
    assert links
    for link in links:
        parameters = {parameter["name"] for parameter in known[link["operationId"]].get("parameters", [])}
        assert set(link["parameters"]) <= parameters


def test_the_job_request_has_an_example_that_is_accepted(written):
    (example,) = written["components"]["schemas"]["JobRequest"]["examples"]
    assert JobRequest.model_validate(example).kind == "clean"


def test_the_contract_names_every_code_with_its_status():
    text = (DOCS / "http.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([a-z_0-9]+)` \| (\d{3}) \|", text, re.MULTILINE))
    assert rows == {code: str(kind.status) for code, kind in PROBLEM_TYPES.items()}


def test_the_contract_names_every_route(written):
    text = (DOCS / "http.md").read_text(encoding="utf-8")
    missing = [name for name, _ in operations(written) if name not in text]
    assert missing == []
