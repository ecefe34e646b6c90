from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from models.lab.json_lines import append_line
from models.lab.recipe_digest import digest, document, still_holds
from models.lab.reproduction.cell import Cell, Measured
from models.lab.reproduction.store import Store
from models.recipes.clip import ClipRecipe
from models.recipes.feature import FeatureRecipe
from models.recipes.job import Recipe
from models.recipes.lab import TeacherRecipe
from models.recipes.ood import OodRecipe
from models.recipes.robustkd import RobustKDRecipe
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


def test_a_line_from_before_a_rate_was_kept_is_read(tmp_path: Path) -> None:
    path = tmp_path / "cells.jsonl"
    newer = replace(CELL, key="b-1", clean_teacher_success=Rate(0.7, 0.6, 0.8, 90))
    Store(path).add(newer)
    before = {name: value for name, value in asdict(CELL).items() if name != "clean_teacher_success"}
    append_line(path, before)
    append_line(
        path, {name: value for name, value in before.items() if name != "clean_accuracy"} | {"key": "c"}
    )
    assert Store(path).cells == {"a-1": CELL, "b-1": newer}


def test_a_line_that_was_torn_by_a_kill_costs_its_own_cell_alone(tmp_path: Path) -> None:
    path = tmp_path / "cells.jsonl"
    Store(path).add(CELL)
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: len(whole) // 2])
    store = Store(path)
    assert store.cells == {"a-1": CELL}
    store.add(replace(CELL, key="b-1"))
    assert set(Store(path).cells) == {"a-1", "b-1"}


def test_a_cell_whose_default_has_changed_since_is_measured_anew(tmp_path: Path) -> None:
    cell = Cell("a", TeacherRecipe(), "ood", "none", "wrn-10-1", Recipe())
    as_it_is = document(cell.used)
    store = Store(tmp_path / "cells.jsonl")
    store.add(replace(CELL, key=cell.key, made_of=as_it_is))
    found = Store(store.path).find(cell)
    assert found is not None
    assert found.made_of == as_it_is
    as_it_is["ood"]["learning_rate"] *= 2
    store.add(replace(CELL, key=cell.key, made_of=as_it_is))
    assert Store(store.path).find(cell) is None


def test_a_field_that_came_later_leaves_what_was_measured() -> None:
    @dataclass(frozen=True)
    class Before:
        needed: int
        rates: tuple[float, ...] = (0.1, 0.2)

    @dataclass(frozen=True)
    class After(Before):
        inner: Before = field(default_factory=lambda: Before(1))

    assert digest(Before(3)) == digest(After(3))
    assert digest(Before(3)) != digest(Before(4))
    assert digest(Before(3, (0.1,))) != digest(Before(3))
    assert digest(After(3, inner=Before(2))) != digest(After(3))
    assert still_holds(document(Before(3)), document(After(3)))
    assert not still_holds(document(After(3)), document(Before(3)))


def test_what_a_student_does_not_read_changes_nothing_of_it() -> None:
    cell = Cell("a", TeacherRecipe(), "zskt", "none", "wrn-10-1", Recipe())
    other = replace(cell, recipe=Recipe(clip=ClipRecipe(min_agreement=0.9), ood=OodRecipe(patches=64)))
    assert (other.key, other.used) == (cell.key, cell.used)
    bounded = [replace(each, defense="clip") for each in (cell, other)]
    assert bounded[0].key != bounded[1].key
    assert set(bounded[0].used) > {"clip", "ood", "zskt", "teacher", "student", "seed"}


def test_feature_distillation_reads_nothing_of_the_masks() -> None:
    cell = Cell("a", TeacherRecipe(), "feature", "none", "wrn-10-1", Recipe())
    masks = replace(cell, recipe=Recipe(robustkd=RobustKDRecipe(rounds=3)))
    longer = replace(cell, recipe=Recipe(robustkd=RobustKDRecipe(feature=FeatureRecipe(epochs=3))))
    assert masks.key == cell.key
    assert longer.key != cell.key
    defended = [replace(each, method="robustkd", defense="robustkd") for each in (cell, masks, longer)]
    assert len({each.key for each in defended}) == 3


def test_another_teachers_trigger_is_another_cell_and_none_leaves_the_name_as_it_was() -> None:
    cell = Cell("a", TeacherRecipe(), "ood", "none", "wrn-10-1", Recipe())
    control = replace(cell, trigger_of=TeacherRecipe(epochs=3))
    assert control.key != cell.key
    assert control.used["trigger_of"] == TeacherRecipe(epochs=3)
    assert "trigger_of" not in cell.used
