"""``proctor reproduce`` hands its arguments to the lab's process and gives back its exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app import cli


def reproduce(*arguments: str) -> int:
    return cli.run(["reproduce", *arguments])


def test_a_table_that_nobody_measured_is_printed_with_dashes(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    page = tmp_path / "results.md"
    page.write_text("# Results\n")
    assert reproduce("abd-t1", "--minutes", "0", "--work", str(tmp_path), "--write", str(page)) == 0
    text = page.read_text()
    assert text.startswith("# Results\n")
    assert "| badnets_grid | — | — | — | — | — |" in text
    assert "| badnets_grid | 92.1 / 99.9 | 71.9 / 96.9 | 68.3 / 0.7 |" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("abd-t9",), "Tables: digits, abd-t1"),
        (("abd-t1",), "Name its folder with --data"),
    ],
)
def test_what_is_missing_is_said_in_a_sentence(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    assert reproduce(*arguments, "--work", str(tmp_path)) == 4
    assert said in capfd.readouterr().err


def test_a_program_gets_the_table_as_json(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """It got the Markdown, whatever --json promised."""
    store = Path(__file__).parents[3] / "benchmarks/measured/nasty-t1-small.jsonl"
    assert reproduce("nasty-t1", "--minutes", "0", "--store", str(store), "--json") == 0
    document = json.loads(capfd.readouterr().out)
    assert (document["table"], document["budget"], document["store"]) == ("nasty-t1", "small", str(store))
    assert document["markdown"].startswith("### ")
    assert document["measured"]
    assert 0 <= document["measured"][0]["clean_accuracy"]["value"] <= 1
    assert not {cell["key"] for cell in document["measured"]} & set(document["missing"])


def test_a_refusal_is_json_too(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert reproduce("abd-t9", "--work", str(tmp_path), "--json") == 4
    assert json.loads(capfd.readouterr().out)["error"]["code"] == "table_unknown"


def test_a_store_that_cannot_be_read_is_a_sentence(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """It was a traceback, and 1."""
    (tmp_path / "file").write_text("")
    assert reproduce("digits", "--work", str(tmp_path / "file" / "work")) == 2
    told = capfd.readouterr().err
    assert "Error: " in told
    assert "Not a directory" in told
    assert "Traceback" not in told
