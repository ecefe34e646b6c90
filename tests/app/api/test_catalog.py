from __future__ import annotations

import json
from pathlib import Path

SCHEMA = Path(__file__).parents[3] / "docs" / "layer-list.schema.json"


def test_the_jobs_recipe_comes_with_defaults_limits_and_meanings(api):
    recipes = {recipe["name"]: recipe for recipe in api("GET", "/v1/recipes").json()["data"]}
    job = recipes["job"]
    seed = job["json_schema"]["properties"]["seed"]
    assert (seed["default"], seed["minimum"], seed["maximum"]) == (0, 0, 2**31 - 1)
    assert seed["description"]
    assert job["defaults"]["method"] == "auto"
    assert {"student", "probe", "vanilla", "ood", "zskt", "cmi", "fast", "abd", "robustkd", "verify"} <= set(
        recipes
    )


def test_the_defaults_of_the_catalog_are_a_valid_recipe(api):
    defaults = api("GET", "/v1/recipes").json()["data"][0]["defaults"]
    answer = api("POST", "/v1/jobs", json={"kind": "clean", "teacher": api.teacher(), "recipe": defaults})
    assert answer.status_code == 202
    assert answer.json()["recipe"] == defaults


def test_every_field_of_every_recipe_is_explained(api):
    for recipe in api("GET", "/v1/recipes").json()["data"]:
        for definition in (recipe["json_schema"], *recipe["json_schema"].get("$defs", {}).values()):
            for name, field in definition["properties"].items():
                assert field.get("description"), f"{recipe['name']}: {name}"


def test_families_of_networks_are_listed(api):
    families = {family["name"]: family for family in api("GET", "/v1/architectures").json()["data"]}
    assert "wrn-16-2" in families["wide-resnet"]["examples"]


def test_probes_say_what_they_cannot_see(api):
    probes = api("GET", "/v1/probes").json()["data"]
    assert {"mmbd", "transfer", "student_gain"} <= {probe["name"] for probe in probes}
    assert all(probe["blind_to"] for probe in probes)


def test_the_schema_of_layer_lists_is_served_explained_and_committed(api):
    answer = api("GET", "/v1/schemas/layer-list")
    assert answer.headers["content-type"] == "application/schema+json"
    schema = answer.json()
    assert schema == json.loads(SCHEMA.read_text("utf-8")), (
        "run: python -m app.schemas.layers docs/layer-list.schema.json"
    )
    for name, definition in (("LayerList", schema), *schema["$defs"].items()):
        assert definition["additionalProperties"] is False
        for field, described in definition["properties"].items():
            assert field == "type" or described.get("description"), f"{name}: {field}"
        assert name == "LayerList" or "type" in definition["required"]
