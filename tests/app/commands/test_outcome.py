import errno
import io
import json

import click
import pytest
from rich.console import Console
from sqlalchemy.exc import OperationalError

from app.client.errors import ProblemError, UnreachableError
from app.commands.outcome import CommandError, ExitCode, Output, exit_code_of, proctor_command


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        ({"status": "succeeded", "accepted": True, "verdict": "detected"}, ExitCode.ACCEPTED),
        ({"status": "succeeded", "accepted": False, "verdict": "not_detected"}, ExitCode.NOT_ACCEPTED),
        ({"status": "succeeded", "accepted": None, "verdict": "not_detected"}, ExitCode.ACCEPTED),
        ({"status": "succeeded", "accepted": None, "verdict": "detected"}, ExitCode.NOT_ACCEPTED),
        ({"status": "succeeded", "accepted": None, "verdict": "suspected"}, ExitCode.NOT_ACCEPTED),
        ({"status": "succeeded", "accepted": None, "verdict": "inconclusive"}, ExitCode.NOT_ACCEPTED),
        ({"status": "failed", "accepted": None, "verdict": None}, ExitCode.ERROR),
        ({"status": "canceled", "accepted": None, "verdict": None}, ExitCode.CANCELED),
    ],
)
def test_a_job_is_judged_by_its_student_else_by_its_verdict(job: dict, expected: ExitCode) -> None:
    assert exit_code_of(job) == expected


@pytest.mark.parametrize(
    ("word", "accepted", "expected"),
    [
        ("detected", None, ExitCode.NOT_ACCEPTED),
        ("inconclusive", None, ExitCode.ACCEPTED),
        ("detected", True, ExitCode.ACCEPTED),
    ],
)
def test_a_nasty_teacher_is_no_good_news_unless_a_student_of_it_is_accepted(
    word: str, accepted: bool | None, expected: ExitCode
) -> None:
    result = {"probe": {"undistillable": {"word": word}}}
    job = {"status": "succeeded", "accepted": accepted, "verdict": "not_detected", "result": result}
    assert exit_code_of(job) == expected


def test_results_go_to_stdout_and_remarks_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output(as_json=True)
    output.remark("working [on it] :smile:")
    output.emit({"id": "job_1"}, "job_1")
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"id": "job_1"}
    assert captured.err == "working [on it] :smile:\n"


def test_stdout_carries_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output(as_json=True)
    output.emit({"id": "job_1"}, "job_1")
    output.fail("files_unsaved", "No space left.", "Make some.")
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"id": "job_1"}
    assert captured.err == "Error: No space left.\nHint:  Make some.\n"


def test_text_is_written_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=False).emit({"id": "job_1"}, "job_1")
    assert capsys.readouterr().out == "job_1\n"


@pytest.mark.parametrize("text", ["/home/a[/b]/out", "out[red]1", "a:smile:b"])
def test_a_path_is_written_as_it_is(capsys: pytest.CaptureFixture[str], text: str) -> None:
    """It was read as markup, which ended a finished command or left letters out."""
    Output(as_json=False).emit({}, text)
    assert capsys.readouterr().out == f"{text}\n"


@proctor_command("broken")
@click.option("--how")
def broken(*, output: Output, how: str) -> int:
    if how == "interrupted":
        raise KeyboardInterrupt
    if how == "refused":
        first = {"pointer": "/triggers/0/target_label", "detail": "the teacher has the classes 0 to 9"}
        errors = [first, {"pointer": "/teacher", "detail": "there is no such teacher"}]
        raise ProblemError(
            422, {"code": "invalid_request", "detail": "Two things do not fit.", "errors": errors}
        )
    if how == "unforeseen":
        raise KeyError("verdict")
    if how == "database":
        raise OperationalError("SELECT 1", {}, Exception("disk I/O error\nSELECT"))
    if how == "unreachable":
        raise UnreachableError("Nobody answers.", hint="Start it.")
    raise CommandError(
        "No such thing.", code="thing_missing", hint="Look again.", exit_code=ExitCode.UNSUPPORTED_FILE
    )


def invoke(*arguments: str) -> int:
    code: int = broken.main(list(arguments), standalone_mode=False)
    return code


def test_an_error_is_one_line_and_a_hint(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke() == 3
    assert capsys.readouterr().err == "Error: No such thing.\nHint:  Look again.\n"


def test_an_error_as_json_is_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke("--json") == 3
    expected = {"code": "thing_missing", "detail": "No such thing.", "hint": "Look again."}
    assert json.loads(capsys.readouterr().out) == {"error": expected}


def test_every_wrong_field_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke("--how", "refused") == 2
    assert capsys.readouterr().err.splitlines() == [
        "Error: Two things do not fit.",
        "       triggers/0/target_label: the teacher has the classes 0 to 9",
        "       teacher: there is no such teacher",
    ]


def test_wrong_fields_are_part_of_the_json(capsys: pytest.CaptureFixture[str]) -> None:
    invoke("--how", "refused", "--json")
    errors = json.loads(capsys.readouterr().out)["error"]["errors"]
    assert [entry["pointer"] for entry in errors] == ["/triggers/0/target_label", "/teacher"]


def test_an_unreachable_server_is_an_error() -> None:
    assert invoke("--how", "unreachable") == 2


def test_ctrl_c_is_130() -> None:
    assert invoke("--how", "interrupted") == 130


def test_an_unforeseen_error_is_2_and_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke("--how", "unforeseen") == 2
    told = capsys.readouterr().err
    assert told.startswith("Error: Proctor failed by KeyError: 'verdict'\nHint:  Set PROCTOR_DEBUG=1")
    assert invoke("--how", "unforeseen", "--json") == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "internal_error"


def test_its_traceback_is_there_for_the_asking(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PROCTOR_DEBUG", "1")
    assert invoke("--how", "unforeseen") == 2
    assert "Traceback" in capsys.readouterr().err


def test_a_database_that_fails_is_called_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke("--how", "database", "--json") == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == "database_unavailable"
    assert error["detail"].endswith("disk I/O error")


def test_an_error_that_stdout_does_not_take_is_on_stderr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(Full()))
    assert invoke("--json") == 3
    assert capsys.readouterr().err == "Error: No such thing.\nHint:  Look again.\n"


class Full(io.BytesIO):
    """A device without room."""

    def write(self, content: object) -> int:
        raise OSError(28, "No space left on device")


def test_a_terminal_that_is_gone_changes_no_exit_code() -> None:
    """An error that could not be shown ended in 1, which a gate takes for a verdict."""

    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.EIO, "Input/output error")

    output = Output(as_json=False, console=Console(file=Gone()))
    output.fail("code", "What happened.", "What to do.")
