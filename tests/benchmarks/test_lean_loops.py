import sys

import pytest

from benchmarks import lean_loops
from models.recipes.architecture import ArchitectureSpec
from models.recipes.ood import OodRecipe
from models.recipes.zskt import ZsktRecipe


def test_the_table_has_a_row_per_method_with_both_times_and_their_ratio(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = ArchitectureSpec("wrn-10-1", 10, 8)
    small = {
        "SIDE": 8,
        "TEACHER": spec,
        "STUDENT": spec,
        "ZSKT": ZsktRecipe(batch_size=4, student_steps=1, generator_width=8),
        "OOD": OodRecipe(patches=64, batch_size=4),
        "SYNTHESIS_BATCH": 4,
        "DISTILLING_BATCH": 4,
        "BANK": 16,
    }
    for name, value in small.items():
        monkeypatch.setattr(lean_loops, name, value)
    monkeypatch.setattr(sys, "argv", ["lean_loops", "--repeats", "1", "--peak-tflops", "1"])
    lean_loops.main()
    table = [
        line.split(" | ")
        for line in capsys.readouterr().out.splitlines()
        if line[:2] == "| " and "---" not in line
    ]
    assert [row[0].removeprefix("| ") for row in table] == [
        "method", "zskt", "zskt + vaccine", "ood", "ood + vaccine", "cmi",
    ]  # fmt: skip
    for row in table[1:]:
        assert float(row[1]) > 0
        assert float(row[2]) > 0
        assert float(row[4]) > 0
