"""The table of artifacts in docs/http.md names every file that somebody asks for by name."""

from __future__ import annotations

import re
from pathlib import Path

from app.core import artifact_names
from app.core.artifact_names import is_artifact, student_file
from models.recipes.trigger_names import TRIGGER_NAMES

HTTP = (Path(__file__).parents[2] / "docs" / "http.md").read_text("utf-8")


def test_every_artifact_is_described() -> None:
    section = HTTP.split("## Download artifacts")[1].split("\n## ")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    told = {name for cell in cells for name in re.findall(r"`([a-z_-]+\.[a-z]+)`", cell)}
    fixed = {value for name, value in vars(artifact_names).items() if name.isupper()}
    assert told == fixed | {student_file("undefended", ["undefended", "defended"])}
    named = {name for cell in cells for name in re.findall(r"`([^`]+\.[a-z]+)`", cell)}
    assert {name for name in named if not is_artifact(name)} == set()


def test_every_built_in_trigger_is_named() -> None:
    section = HTTP.split("### Triggers by name")[1].split("`_substitute`")[0]
    assert set(re.findall(r"`([a-z0-9_]+)`", section)) - {"catalog"} == set(TRIGGER_NAMES)
