"""``proctor reproduce`` hands its arguments to the lab's process and gives back its exit code."""

from __future__ import annotations

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
