"""A published name is measured with its published picture, or not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from models.engine.monitor import SilentMonitor
from models.errors import RecipeError
from models.lab.reproduction.pictures import check_pictures, picture_digests
from models.lab.reproduction.run import run_table
from models.lab.reproduction.store import Store
from models.lab.reproduction.tables import TABLES, find_table
from models.lab.reproduction.teachers import Folders, lab_suspect
from models.recipes.lab import AttackRecipe
from tests.models.distillation.small import SIZE
from tests.models.lab.reproduction.test_run import DATA, TABLE, TEACHER, silently

CPU = torch.device("cpu")
WATERMARK = replace(TEACHER, attack=replace(TEACHER.attack, trigger="trojan_wm"))


def pictures(folder: Path, *names: str, gray: int = 60) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        Image.fromarray(np.full((SIZE, SIZE, 3), gray, dtype=np.uint8)).save(folder / f"{name}.png")
    return folder


def begun_by(work: Path, patterns: Path | None, only: str = "") -> list[str]:
    cells = (TABLE.cells[0], replace(TABLE.cells[1], row="mark", teacher=WATERMARK))
    begun: list[str] = []

    def watch(name: str, made_of: object):
        begun.append(name)
        return silently(name, made_of)

    run_table(
        replace(TABLE, cells=cells), DATA, DATA, Store(work / "cells.jsonl"), Folders(work, patterns),
        watch=watch, photographs=[], device=CPU, only=only,
    )  # fmt: skip
    return begun


def test_without_its_picture_nothing_is_measured_under_a_published_name(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        begun_by(tmp_path, None)
    assert caught.value.code == "pictures_missing"
    assert "trojan_wm.png" in caught.value.detail
    assert list(tmp_path.iterdir()) == []  # refused before the first row, which needs none
    with pytest.raises(RecipeError):
        begun_by(tmp_path, pictures(tmp_path / "others", "blend"))


def test_other_rows_need_no_picture_and_what_is_measured_needs_none_anymore(tmp_path: Path) -> None:
    assert len(begun_by(tmp_path, None, only="grid")) == 2
    assert len(begun_by(tmp_path, pictures(tmp_path / "pictures", "trojan_wm"))) == 2
    assert begun_by(tmp_path, None) == []


@pytest.mark.parametrize("name", TABLES)
def test_tables_say_which_pictures_they_need(name: str) -> None:
    """A public checkpoint's trigger is a picture too; searched triggers, and a clean teacher's, are none."""
    needed = {
        "abd-t2-ood": "blend.png, trojan_wm.png",
        "abd-t2-cmi": "trojan_wm.png",
        "fast": "trojan_wm.png",
    }
    cells = find_table(name, "small").cells
    if name not in needed:
        check_pictures(cells, None)
        return
    with pytest.raises(RecipeError, match=rf": {needed[name]}\."):
        check_pictures(cells, None)
    public = [cell for cell in cells if cell.row == "public_watermark"]
    if public:
        with pytest.raises(RecipeError, match=r": trojan_wm\.png\."):
            check_pictures(public, None)


def test_a_teacher_of_another_picture_or_of_the_stand_in_is_made_anew(tmp_path: Path) -> None:
    def made(patterns: Path | None) -> tuple[int, str]:
        folders = Folders(tmp_path / "work", patterns)
        suspect = lab_suspect(
            WATERMARK, DATA, DATA, folders, monitor=SilentMonitor(), resume=None, device=CPU
        )
        (weights,) = folders.work.glob("teachers/*/teacher.safetensors")
        assert suspect.trigger is not None
        return weights.stat().st_mtime_ns, suspect.trigger.name

    before, name = made(None)
    assert name == "watermark_substitute"
    picture, name = made(pictures(tmp_path / "a", "trojan_wm"))
    assert picture > before
    assert name == "trojan_wm"
    assert made(tmp_path / "a")[0] == picture
    assert made(pictures(tmp_path / "b", "trojan_wm", gray=90))[0] > picture


def test_the_pictures_that_triggers_are_drawn_from_are_told_apart(tmp_path: Path) -> None:
    cells = find_table("abd-t2-ood", "small").cells
    assert picture_digests(cells, None) == {}
    names = ("trojan_wm", "blend", "sig")
    first, second = (
        picture_digests(cells, pictures(tmp_path / str(gray), *names, gray=gray)) for gray in (60, 90)
    )
    assert set(first) == {"trojan_wm.png", "blend.png"}
    assert all(first[file] != second[file] for file in first)
    clean = replace(TABLE.cells[0], teacher=replace(TEACHER, attack=AttackRecipe(trigger="blend")))
    assert picture_digests([clean], tmp_path / "60") == {}
