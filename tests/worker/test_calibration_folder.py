import os
from pathlib import Path

import pytest

from app.core.reference_folder import MAX_FILES
from worker.calibration_folder import MAX_BYTES, read_texts


def test_files_of_json_are_read_by_name(tmp_path: Path) -> None:
    for name in ("b.json", "a.json", "a.scores.jsonl", "notes.txt"):
        (tmp_path / name).write_text(name)
    assert read_texts(tmp_path) == {"a.json": "a.json", "b.json": "b.json"}


def test_no_folder_holds_nothing() -> None:
    assert read_texts(None) == {}


def test_what_is_no_text_or_too_large_is_skipped(tmp_path: Path) -> None:
    (tmp_path / "good.json").write_text("{}")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe")
    (tmp_path / "large.json").write_bytes(b" " * (MAX_BYTES + 1))
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "gone.json").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe.json")
    assert read_texts(tmp_path) == {"good.json": "{}"}


def test_a_folder_that_is_gone_is_no_empty_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_texts(tmp_path / "missing")


def test_a_folder_of_thousands_is_not_read_whole(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(MAX_FILES + 3):
        (tmp_path / f"{number:03}.json").write_text("{}")
    assert len(read_texts(tmp_path)) == MAX_FILES
    assert "066.json" in caplog.text
