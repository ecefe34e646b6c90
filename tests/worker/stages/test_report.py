"""The report stage of jobs that audit: which files it leaves, and that they tell the same."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from app.core.states import Stage
from tests.models.report.sample import audit
from tests.worker.stages.test_protect import Silent, described
from tests.worker.stages.test_subject import folder
from worker.child_job import ChildJob, StageOutput
from worker.context import plain
from worker.stages import report

__all__ = ["folder"]


def audited(folder: Path, kind: str, **changes: object) -> ChildJob:
    made = described(folder)
    found = StageOutput(plain(asdict(replace(audit(), **changes))))
    return replace(made, facts={**made.facts, "kind": kind}, outputs={Stage.PROBE: found})


def written(job: ChildJob) -> dict[str, tuple[str, Path]]:
    output = report.run(job, Silent())  # type: ignore[arg-type]
    return {file.name: (file.media_type, file.path) for file in output.files}


@pytest.mark.parametrize("kind", ["audit", "clean"])
def test_a_job_that_audits_leaves_its_findings_as_sarif(folder: Path, kind: str) -> None:
    files = written(audited(folder, kind))
    media_type, path = files["report.sarif"]
    assert media_type == "application/sarif+json"
    (run,) = json.loads(path.read_text())["runs"]
    told = json.loads(files["report.json"][1].read_text())
    assert run["results"][0]["message"]["text"] == told["audit"]["sentence"]
    assert run["artifacts"][0]["location"]["uri"] == told["job"]["teacher_filename"] == "mine.pt"
    assert run["artifacts"][0]["hashes"]["sha-256"] == told["inspection"]["sha256"]
    assert run["tool"]["driver"].get("version") == told["provenance"]["versions"].get("proctor")


def test_a_name_that_no_database_takes_is_cleaned(folder: Path) -> None:
    (_, path) = written(audited(folder, "audit", sentence="a\0b\ud800"))["report.sarif"]
    assert json.loads(path.read_bytes())["runs"][0]["results"][0]["message"]["text"] == "ab?"


def test_a_job_without_an_audit_leaves_none(folder: Path) -> None:
    assert "report.sarif" not in written(replace(described(folder), outputs={}))
