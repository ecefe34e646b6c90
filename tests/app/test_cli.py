"""The command line as a whole: verbs, exit codes, and the commands that need only a home."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import httpx
import pytest

from app.cli import VERBS, cli, run
from app.client import ProctorClient
from app.client.retry import RetryPolicy
from app.commands import connection
from app.home import write_private
from tests.models.data.cifar_files import Python2, batch10

JOB = {
    "id": "job_1",
    "kind": "clean",
    "status": "succeeded",
    "stage": "report",
    "verdict": "detected",
    "accepted": False,
    "created_at": "2026-01-02T03:04:05Z",
    "finished_at": "2026-01-02T03:04:05Z",
    "error": None,
    "result": None,
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PROCTOR_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def server(home: Path, monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], Any]:
    """Stand in for a server: answers by method and path."""
    answers: dict[tuple[str, str], Any] = {}

    def answer(request: httpx.Request) -> httpx.Response:
        found = answers.get((request.method, request.url.path))
        if found is None:
            return httpx.Response(404, json={"code": "job_not_found", "detail": "There is no such job."})
        return found(request) if callable(found) else httpx.Response(200, json=found)

    def connect(url: str, key: str) -> ProctorClient:
        return ProctorClient(url, key, httpx.MockTransport(answer), RetryPolicy(attempts=1))

    monkeypatch.setattr(connection, "ProctorClient", connect)
    write_private(home / "api_key", "prk_x\n")
    return answers


def events(*messages: tuple[str, dict]) -> Any:
    text = "".join(
        f"id: {seq}\nevent: {kind}\ndata: {json.dumps(data)}\n\n"
        for seq, (kind, data) in enumerate(messages, 1)
    )
    return lambda request: httpx.Response(200, text=text, headers={"Content-Type": "text/event-stream"})


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([verb, "--help"]) == 0
    assert f"Usage: proctor {verb}" in capsys.readouterr().out


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_speaks_json(verb: str) -> None:
    command = cli.get_command(click.Context(cli), verb)
    assert command is not None
    commands = list(command.commands.values()) if isinstance(command, click.Group) else [command]
    for each in commands:
        assert "--json" in {option for parameter in each.params for option in parameter.opts}


@pytest.mark.parametrize(
    "arguments",
    [["--nope"], ["nope"], ["watch"], ["submit", "missing.pt"], ["run", "missing.pt"], ["api", "--fd", "-1"]],
)
def test_wrong_usage_is_4(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 4
    assert "Usage:" in capsys.readouterr().err


def test_without_a_key_the_user_learns_where_to_get_one(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["list"]) == 2
    assert "proctor serve" in capsys.readouterr().err


def test_an_address_that_is_none_is_named(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["list", "--url", "localhost:8642", "--key", "x"]) == 2
    assert "http://host:port" in capsys.readouterr().err


def test_list_shows_jobs(server: dict, capsys: pytest.CaptureFixture[str]) -> None:
    server["GET", "/v1/jobs"] = {"data": [JOB], "has_more": False, "next_after": None}
    assert run(["list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [JOB]


def test_watch_ends_with_the_jobs_own_exit_code(server: dict, capsys: pytest.CaptureFixture[str]) -> None:
    server["GET", "/v1/jobs/job_1/events"] = events(
        ("stage", {"stage": "probe"}), ("done", {"status": "succeeded"})
    )
    server["GET", "/v1/jobs/job_1"] = JOB
    assert run(["watch", "job_1", "--json"]) == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out) == JOB
    assert "Probing the teacher" in captured.err


def test_submit_prints_the_jobs_id(server: dict, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server["PUT", "/v1/teachers/teacher.pt"] = {"id": "tch_1", "status": "ready"}
    server["POST", "/v1/jobs"] = {"id": "job_1", "status": "queued"}
    (tmp_path / "teacher.pt").write_bytes(b"weights")
    assert run(["submit", str(tmp_path / "teacher.pt")]) == 0
    assert capsys.readouterr().out == "job_1\n"


def test_an_output_folder_that_cannot_be_is_told_before_the_upload(
    server: dict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "teacher.pt").write_bytes(b"weights")
    given = ["submit", str(tmp_path / "teacher.pt"), "--output"]
    assert run([*given, str(tmp_path / "teacher.pt" / "out")]) == 2
    assert "No file can be written" in capsys.readouterr().err
    assert run([*given, str(tmp_path / "teacher.pt")]) == 4
    assert run(["fetch", "job_1", "--output", str(tmp_path / "teacher.pt")]) == 4


def test_labels_go_with_the_job(server: dict, capsys: pytest.CaptureFixture[str]) -> None:
    sent: list[dict] = []

    def accept(request: httpx.Request) -> httpx.Response:
        sent.append(json.loads(request.content))
        return httpx.Response(202, json=JOB)

    server["POST", "/v1/jobs"] = accept
    assert run(["submit", f"tch_{'0' * 26}", "--label", "team=vision", "--label", "run=7"]) == 0
    assert sent[0]["labels"] == {"team": "vision", "run": "7"}


def test_submitting_a_refused_file_is_3(
    server: dict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    problem = {"code": "text_file", "detail": "The file is a text file.", "hint": "Upload the checkpoint."}
    server["PUT", "/v1/teachers/a.txt"] = lambda request: httpx.Response(422, json=problem)
    (tmp_path / "a.txt").write_text("hello")
    assert run(["submit", str(tmp_path / "a.txt"), "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "text_file"


def test_cancel_says_what_happens(server: dict, capsys: pytest.CaptureFixture[str]) -> None:
    server["POST", "/v1/jobs/job_1/cancel"] = {**JOB, "status": "running"}
    assert run(["cancel", "job_1"]) == 0
    assert "asked to stop" in capsys.readouterr().out


def test_an_unknown_job_is_an_error(server: dict, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["cancel", "job_0"]) == 2
    assert "There is no such job." in capsys.readouterr().err


def test_keys_live_from_creation_to_revocation(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["keys", "create", "ci", "--scope", "read", "--ttl-days", "1", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["secret"].startswith("prk_")
    assert run(["keys", "revoke", made["id"]]) == 0
    capsys.readouterr()
    assert run(["keys", "list", "--json"]) == 0
    (listed,) = json.loads(capsys.readouterr().out)
    assert (listed["name"], listed["scopes"]) == ("ci", ["read"])
    assert listed["revoked_at"] is not None
    assert "secret" not in listed


def test_revoking_an_unknown_key_is_an_error(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["migrate"]) == 0
    assert run(["keys", "revoke", "key_0"]) == 2
    assert "proctor keys list" in capsys.readouterr().err


def test_migrate_makes_the_tables(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["migrate"]) == 0
    assert (home / "proctor.db").stat().st_size > 0


def test_a_database_that_is_away_is_told_with_a_hint(
    home: Path, free_port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PROCTOR_DATABASE_URL", f"postgresql://proctor:secret@127.0.0.1:{free_port}/proctor")
    assert run(["migrate"]) == 2
    told = capsys.readouterr().err
    assert "PROCTOR_DATABASE_URL" in told
    assert "secret" not in told


def test_an_impossible_setting_is_named(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PROCTOR_PORT", "many")
    assert run(["migrate"]) == 4
    assert "PROCTOR_PORT" in capsys.readouterr().err


def test_a_home_that_cannot_be_made_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert run(["migrate", "--home", str(tmp_path / "file" / "home")]) == 2
    assert str(tmp_path / "file") in capsys.readouterr().err


def test_workers_know_their_queues(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["worker", "--queues", "cpu,tpu"]) == 4
    assert "no queue tpu" in capsys.readouterr().err


def test_inspect_tells_a_text_file(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "teacher.pt"
    path.write_text("hello, I am not a checkpoint\n" * 10)
    assert run(["inspect", str(path), "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["error"]["hint"]


def test_inspect_reads_images_with_a_role(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "test_batch"
    path.write_bytes(Python2.dumps(batch10()))
    assert run(["inspect", str(path), "--role", "clean_labelled", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["class_counts"] == [1, 1, 1, 1]
    assert run(["inspect", str(path), "--role", "clean_labelled"]) == 0
    assert "does not name its classes" in capsys.readouterr().out
    path.write_bytes(path.read_bytes()[:-1])
    assert run(["inspect", str(path), "--role", "clean_labelled", "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "batch_truncated"


@pytest.mark.parametrize("raised", [KeyError("x"), SystemExit(1)])
def test_no_crash_ends_like_a_verdict(
    raised: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def crash(*given: Any, **more: Any) -> None:
        raise raised

    monkeypatch.setattr(cli, "main", crash)
    assert run(["list"]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_full_stdout_ends_with_2(home: Path) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f"{sys.executable} -m app.cli list --json > /dev/full"],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("Error: There is no API key")
    assert "Traceback" not in done.stderr


def test_a_failed_job_is_tried_again_as_a_new_one(server: dict, capsys: pytest.CaptureFixture[str]) -> None:
    server["POST", "/v1/jobs/job_1/retry"] = {**JOB, "id": "job_2", "retry_of": "job_1"}
    assert run(["retry", "job_1"]) == 0
    assert capsys.readouterr().out == "job_2\n"


def test_a_retried_job_can_be_followed(server: dict, capsys: pytest.CaptureFixture[str]) -> None:
    server["POST", "/v1/jobs/job_1/retry"] = {**JOB, "id": "job_2", "retry_of": "job_1"}
    server["GET", "/v1/jobs/job_2/events"] = events(("done", {"status": "succeeded"}))
    server["GET", "/v1/jobs/job_2"] = {**JOB, "id": "job_2"}
    assert run(["retry", "job_1", "--watch", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["id"] == "job_2"
