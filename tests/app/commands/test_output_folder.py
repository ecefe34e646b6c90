from pathlib import Path

import pytest

from app.commands.outcome import CommandError
from app.commands.output_folder import make_usable, plain_name


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
