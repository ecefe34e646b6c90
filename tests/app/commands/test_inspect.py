from pathlib import Path

import pytest

from app.cli import run
from app.commands import inspect


@pytest.mark.parametrize(
    "given",
    [
        ["--role", "surrogate", "--num-classes", "3"],
        ["--role", "clean_labelled", "--mean", "0,0,0", "--std", "1,1,1"],
        ["--mean", "0,0,0"],
        ["--num-classes", "-3"],
        ["--mean", "0,0,0", "--std", "0,0,0"],
    ],
)
def test_what_cannot_be_said_of_a_file_is_wrong_usage_and_not_the_files_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: list[str]
) -> None:
    (tmp_path / "file").write_bytes(b"bytes")
    monkeypatch.setattr(inspect, "ask_child", lambda *asked, **given: {})
    assert run(["inspect", str(tmp_path / "file"), *given]) == 4
