"""docs/settings.md names every setting with its default, and nothing that is read by nobody."""

from __future__ import annotations

import re
from pathlib import Path

from app.core.settings import OTHER_VARIABLES, Settings

ROOT = Path(__file__).parents[2]
SETTINGS, OTHERS = (ROOT / "docs" / "settings.md").read_text("utf-8").split("Read by others than the service")
ROWS = [
    [cell.strip() for cell in line.split("|")[1:-1]]
    for line in SETTINGS.splitlines()
    if "PROCTOR_" in line and line.startswith("|")
]


def own_name(cell: str) -> str:
    (name,) = re.findall(r"`(PROCTOR_\w+)`", cell)
    return str(name)


def test_every_setting_is_there_once() -> None:
    expected = [f"PROCTOR_{name.upper()}" for name in Settings.model_fields]
    assert sorted(own_name(names) for names, _, _ in ROWS) == sorted(expected)


def test_the_defaults_are_those_of_the_code() -> None:
    fixed = {
        f"PROCTOR_{name.upper()}": f"`{field.default}`"
        for name, field in Settings.model_fields.items()
        if field.default_factory is None and field.default is not None
    }
    told = {own_name(names): default for names, default, _ in ROWS}
    assert {name: told[name] for name in fixed} == fixed


def test_the_embedded_urls_are_those_of_the_code(tmp_path: Path) -> None:
    told = {own_name(names): default.strip("`") for names, default, _ in ROWS}
    settings = Settings(home=tmp_path)
    for name in ("database_url", "broker_url", "blob_url"):
        assert told[f"PROCTOR_{name.upper()}"].replace("HOME", str(tmp_path)) == getattr(settings, name)


def test_what_is_unset_is_said_to_be() -> None:
    unset = {
        f"PROCTOR_{name.upper()}" for name, field in Settings.model_fields.items() if field.default is None
    }
    assert {own_name(names) for names, default, _ in ROWS if default.startswith("unset")} == unset


def test_the_other_variables_are_there() -> None:
    assert set(re.findall(r"^\| `(PROCTOR_\w+)`", OTHERS, re.MULTILINE)) == OTHER_VARIABLES
