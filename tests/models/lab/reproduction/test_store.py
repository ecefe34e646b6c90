from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from models.lab.reproduction.cell import Measured
from models.lab.reproduction.store import Store
from models.results.rate import Rate

CELL = Measured(
    key="a-1",
    row="a",
    column="ood/none",
    seed=0,
    clean_accuracy=Rate(0.5, 0.4, 0.6, 100),
    attack_success=None,
    clean_target_rate=None,
    teacher_accuracy=Rate(0.9, 0.8, 1.0, 100),
    teacher_attack_success=None,
    agreement=0.75,
    decisions=("one", "two"),
    seconds=1.5,
    machine="here",
)


def test_what_is_added_is_there_when_the_file_is_read_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "sub" / "cells.jsonl")
    other = replace(CELL, key="b-1", attack_success=Rate(1.0, 0.9, 1.0, 90))
    store.add(CELL)
    store.add(other)
    assert Store(store.path).cells == {"a-1": CELL, "b-1": other}


def test_a_line_that_was_torn_by_a_kill_costs_its_own_cell_alone(tmp_path: Path) -> None:
    path = tmp_path / "cells.jsonl"
    Store(path).add(CELL)
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: len(whole) // 2])
    store = Store(path)
    assert store.cells == {"a-1": CELL}
    store.add(replace(CELL, key="b-1"))
    assert set(Store(path).cells) == {"a-1", "b-1"}
