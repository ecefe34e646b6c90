from __future__ import annotations

import pytest

CURSOR = "01JD0QZ6Y8T4N7M2K5R3W9X1VB"


@pytest.mark.parametrize(
    ("listed", "after"),
    [
        ("jobs", f"tch_{CURSOR}"),
        ("jobs", "job_bad"),
        ("jobs", f"job_{CURSOR}\n"),
        ("jobs", ""),
        ("teachers", f"job_{CURSOR}"),
        ("datasets", f"tch_{CURSOR}"),
    ],
)
def test_a_cursor_of_another_list_is_refused(api, listed, after):
    answer = api("GET", f"/v1/{listed}", params={"after": after})
    assert (answer.status_code, answer.json()["code"]) == (422, "cursor_invalid")
    assert answer.json()["errors"][0]["pointer"] == "query/after"


@pytest.mark.parametrize(("listed", "prefix"), [("jobs", "job"), ("teachers", "tch"), ("datasets", "ds")])
def test_a_cursor_of_a_thing_that_is_gone_is_still_one(api, listed, prefix):
    answer = api("GET", f"/v1/{listed}", params={"after": f"{prefix}_{CURSOR}"})
    assert (answer.status_code, answer.json()["data"]) == (200, [])
