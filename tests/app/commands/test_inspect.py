from pathlib import Path

import pytest

from app.cli import run
from app.commands import inspect
from app.commands.hints import in_words_of_inspect
from models.checkpoints.child import ChildRejectedError
from models.checkpoints.recognize import recognize, require_torch_zip
from models.data.codes import DATA_CODES
from models.errors import CheckpointRejected, HostDiskFull


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


def hint_of_png() -> str:
    with pytest.raises(CheckpointRejected) as caught:
        recognize(memoryview(b"\x89PNG\r\n\x1a\n" + bytes(40)))
    return str(caught.value.hint)


def hint_of_zip() -> str:
    with pytest.raises(CheckpointRejected) as caught:
        require_torch_zip(["cat/1.png", "dog/1.png"])
    return str(caught.value.hint)


@pytest.mark.parametrize(
    ("hint", "told"),
    [
        (DATA_CODES["single_image"].hint, "Inspect it with --role surrogate"),
        (hint_of_zip(), "--role clean_labelled, clean_unlabelled or surrogate"),
        (hint_of_png(), "If it is an image, inspect it with --role surrogate"),
    ],
)
def test_images_are_inspected_with_a_role_and_by_no_option_of_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], hint: str, told: str
) -> None:
    """It said to give them with --surrogate, which it has not, or to unpack them and upload a checkpoint."""

    def refuse(*asked: object, **given: object) -> None:
        raise ChildRejectedError("unsupported_format", "That is none.", hint)

    monkeypatch.setattr(inspect, "ask_child", refuse)
    (tmp_path / "file").write_bytes(b"bytes")
    assert run(["inspect", str(tmp_path / "file")]) == 3
    error = capsys.readouterr().err
    assert told in error
    assert "--surrogate" not in error


def test_a_full_disk_here_says_nothing_about_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_room(*asked: object, **given: object) -> None:
        raise HostDiskFull

    monkeypatch.setattr(inspect, "ask_child", no_room)
    (tmp_path / "file").write_bytes(b"bytes")
    assert run(["inspect", str(tmp_path / "file"), "--json"]) == 2
    assert '"host_disk_full"' in capsys.readouterr().out


def test_a_sandbox_that_is_missing_here_says_nothing_about_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*asked: object, **given: object) -> None:
        raise ChildRejectedError("sandbox_unavailable", "The sandbox cannot be entered.", "Allow it.")

    monkeypatch.setattr(inspect, "ask_child", refuse)
    (tmp_path / "file").write_bytes(b"bytes")
    assert run(["inspect", str(tmp_path / "file")]) == 2


def test_other_hints_are_in_the_words_of_options() -> None:
    assert (
        in_words_of_inspect("Declare the architecture by its name.")
        == "Name one of them with --architecture."
    )
    assert in_words_of_inspect("Known triggers: ring.") == "Known triggers: ring."
