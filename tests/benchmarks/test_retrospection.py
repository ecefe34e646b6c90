import sys
from dataclasses import replace

import pytest

from benchmarks import retrospection
from models.lab.reproduction.tables import Table, find_table
from models.recipes.ood import OodRecipe


def test_a_row_per_teacher_and_settings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: object
) -> None:
    table = find_table("digits", "small")
    cells = []
    for cell in table.cells:
        if cell.row == "badnets_grid" and cell.column == "ood/abd" and cell.seed == 0:
            recipe = replace(cell.recipe, ood=OodRecipe(patches=64, patch_style="strokes", images=256))
            cells.append(replace(cell, teacher=replace(cell.teacher, epochs=1), recipe=recipe))
    brief = Table(table.name, table.title, table.data, tuple(cells))
    monkeypatch.setattr(retrospection, "find_table", lambda name, budget: brief)
    settings = ['{"run": "never"}', '{"shape": "sparse", "images": 8, "rounds": 1, "gradient": "implicit"}']
    words = ["retrospection", "digits", "badnets_grid", *settings, "--work", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", words)
    retrospection.main()
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines()]
    assert [row[1] for row in rows] == [f"`{words}`" for words in settings]
    assert rows[0][-1] == " |"  # without retrospection, nothing was decided
    assert "retrospection is kept" in rows[1][-1]
    assert all(len(row[2].split(" / ")) == 3 for row in rows)
