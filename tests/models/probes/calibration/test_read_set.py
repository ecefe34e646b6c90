"""A reference set comes from whoever gives one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from models.errors import DataRejected
from models.probes.calibration.read_set import MAX_BYTES, read_set, read_set_file, shipped_sets
from tests.models.probes.calibration.sets import made_set

Document = dict[str, Any]


def content(change: Callable[[Document], object] = lambda document: None) -> bytes:
    document = json.loads(json.dumps(made_set(3).document()))
    change(document)
    return json.dumps(document).encode()


def test_a_set_is_read_as_it_was_written() -> None:
    assert read_set(content()) == made_set(3)


def test_the_hash_does_not_depend_on_the_layout_of_the_file() -> None:
    document = made_set(3).document()
    turned = json.dumps(dict(reversed(document.items())), indent=3).encode()
    assert read_set(turned).sha256 == made_set(3).sha256


def test_a_file_is_read_like_its_content(tmp_path) -> None:
    path = tmp_path / "set.json"
    path.write_bytes(content())
    assert read_set_file(path) == made_set(3)


def test_a_changed_score_is_noticed() -> None:
    with pytest.raises(DataRejected) as caught:
        read_set(content(lambda d: d["references"][0]["scores"].update(mmbd=0.01)))
    assert caught.value.code == "calibration_changed"


def put(*place: Any, value: object) -> Callable[[Document], object]:
    def change(document: Any) -> None:
        for part in place[:-1]:
            document = document[part]
        document[place[-1]] = value

    return change


HOSTILE: dict[str, bytes] = {
    "empty": b"",
    "no text": b"\xff\xfe\x00",
    "no object": b"[]",
    "too large": b" " * (MAX_BYTES + 1),
    "deep": b"[" * 100_000,
    "a number of a million digits": b'{"schema": ' + b"9" * 900_000 + b"}",
    "not a number": content().replace(b'"scores": {"mmbd": ', b'"scores": {"mmbd": NaN, "x": ', 1),
    "infinite": content(put("references", 0, "scores", "mmbd", value=1e300)),
    "a score in words": content(put("references", 0, "scores", "mmbd", value="0.1")),
    "a true score": content(put("references", 0, "scores", "mmbd", value=True)),
    "a key twice": content().replace(b'"name":', b'"name": "other", "name":', 1),
    "another schema": content(put("schema", value="proctor.report")),
    "a later version": content(put("schema_version", value=4)),
    "a task with markup": content(put("task", value="<b>")),
    "a profile of too few classes": content(put("references", 0, "profiles", value={"mmbd": [0.1] * 9})),
    "a profile in words": content(put("references", 0, "profiles", value={"mmbd": ["0"] * 10})),
    "a profile of an unknown probe": content(put("references", 0, "profiles", value={"x": [0.0] * 10})),
    "profiles that are none": content(put("references", 0, "profiles", value=[])),
    "an unknown field": content(put("weights", value="AAAA")),
    "a field less": content(lambda d: d.pop("name")),
    "a name with a path": content(put("name", value="../../etc/passwd")),
    "markup in a name": content(put("name", value="<script>")),
    "no references": content(put("references", value=[])),
    "references that are none": content(put("references", value=[1])),
    "too many references": content(lambda d: d.update(references=d["references"] * 700)),
    "a network twice": content(lambda d: d["references"].append(d["references"][0])),
    "a probe less": content(lambda d: d["references"][0]["scores"].pop("mmbd")),
    "a probe twice": content(lambda d: d["probes"].append("mmbd")),
    "no probes": content(put("probes", value=[])),
    "a hash that is none": content(put("references", 0, "sha256", value="A" * 64)),
    "a note of two lines": content(put("references", 0, "note", value="clean\nreally")),
    "a long note": content(put("references", 0, "note", value="x" * 201)),
    "a kind that is none": content(put("references", 0, "kind", value="<b>")),
    "conditions that are none": content(put("conditions", value=[])),
    "an unknown condition": content(put("conditions", "device", value="cpu")),
    "an unknown budget": content(put("conditions", "budget", value="endless")),
    "a budget that is a list": content(put("conditions", "budget", value=[])),
    "one class": content(put("conditions", "num_classes", value=1)),
    "true classes": content(put("conditions", "num_classes", value=True)),
    "patches without a style": content(put("conditions", "patch_style", value=None)),
    "photographs of one user": content(put("conditions", "images", value="patches of given photographs")),
    "effort in words": content(put("conditions", "effort", "patch_steps", value="many")),
    "an architecture with markup": content(put("conditions", "architecture", value="<wrn>")),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_set_is_refused_as_a_whole(name: str) -> None:
    with pytest.raises(DataRejected) as caught:
        read_set(HOSTILE[name])
    assert caught.value.code == "calibration_invalid"
    assert len(caught.value.detail) < 400


def test_the_shipped_sets_can_be_read() -> None:
    assert all(found.references for found in shipped_sets())
