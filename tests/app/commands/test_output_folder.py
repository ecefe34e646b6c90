import hashlib
from pathlib import Path

import pytest

from app.commands.outcome import CommandError
from app.commands.output_folder import make_usable, plain_name, set_aside


def test_a_folder_is_made_and_left_empty(tmp_path: Path) -> None:
    make_usable(tmp_path / "a" / "out")
    assert list((tmp_path / "a" / "out").iterdir()) == []


def test_a_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CommandError, match="file/out: Not a directory") as caught:
        make_usable(tmp_path / "file" / "out")
    assert (caught.value.code, caught.value.exit_code) == ("output_unusable", 2)


def test_a_folder_that_takes_no_files_is_named() -> None:
    with pytest.raises(CommandError, match=r"No file can be written to /proc/self"):
        make_usable(Path("/proc/self"))


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", ".bashrc", "a\\b", "", "a\0b"])
def test_file_names_cannot_leave_the_folder(name: str) -> None:
    with pytest.raises(CommandError):
        plain_name(name)


def test_files_of_another_job_are_moved_and_lose_nothing(tmp_path: Path) -> None:
    for name in ("student.safetensors", "student-undefended.safetensors", "trigger-01.png", "report.html"):
        (tmp_path / name).write_text("older")
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "earlier-1").mkdir()
    set_aside(tmp_path, {"report.html": "0" * 64}, {"report.html"})
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"report.html", "notes.txt", "earlier-1", "earlier-2"}
    moved = {path.name for path in (tmp_path / "earlier-2").iterdir()}
    assert moved == {"student.safetensors", "student-undefended.safetensors", "trigger-01.png"}


def test_files_of_the_same_job_stay(tmp_path: Path) -> None:
    (tmp_path / "student.safetensors").write_bytes(b"abc")
    digests = {"student.safetensors": hashlib.sha256(b"abc").hexdigest(), "report.html": "0" * 64}
    assert set_aside(tmp_path, digests, {"report.html"}) == []
    assert (tmp_path / "student.safetensors").exists()
    assert set_aside(tmp_path, {**digests, "student.safetensors": "1" * 64}, {"report.html"}) != []
