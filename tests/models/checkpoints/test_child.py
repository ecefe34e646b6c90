"""The process that reads hostile bytes: what it answers, and what happens when it does not."""

from __future__ import annotations

import errno
import io
import json
import sys
import time
from pathlib import Path

import pytest

from models.checkpoints.child import (
    ChildRejectedError,
    ChildStoppedError,
    answer_request,
    ask,
    ask_child,
    lock_in,
)
from models.errors import CheckpointRejected, HostDiskFull, Interrupted
from models.sandbox.bounds import Bounds

ECHO = "json.tool"  # a module of Python's own that answers with the request


def test_returns_what_was_accepted() -> None:
    assert ask_child(ECHO, {"accepted": {"images": 3}}, wall_s=20) == {"images": 3}


def test_raises_what_was_rejected() -> None:
    with pytest.raises(ChildRejectedError) as caught:
        ask_child(ECHO, {"rejected": {"code": "a", "detail": "b", "hint": "c"}}, wall_s=20)
    assert (caught.value.code, caught.value.detail, caught.value.hint) == ("a", "b", "c")


@pytest.mark.parametrize(
    ("module", "request_document"),
    [
        (ECHO, {"accepted": [1]}),
        (ECHO, {"rejected": {"code": 1}}),
        (ECHO, {"stopped": "It failed.", "limit": False}),
        ("this", {}),
        ("no_such_module", {}),
    ],
    ids=["list", "numbers", "stopped", "no_json", "no_module"],
)
def test_anything_else_is_no_answer(module: str, request_document: dict) -> None:
    with pytest.raises(ChildStoppedError) as caught:
        ask_child(module, request_document, wall_s=20)
    assert not caught.value.limit


def test_an_answer_that_is_nested_without_end_is_none() -> None:
    nested = "print('[' * 1_000_000)"
    with pytest.raises(ChildStoppedError, match="not one"):
        ask([sys.executable, "-I", "-c", nested], {}, wall_s=20)


def test_a_reader_that_was_told_to_stop_says_nothing_about_the_file() -> None:
    ended = "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"
    with pytest.raises(Interrupted):
        ask([sys.executable, "-I", "-c", ended], {}, wall_s=20)


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (
            CheckpointRejected("It is bad.", code="bad", hint="Do better."),
            {"rejected": {"code": "bad", "detail": "It is bad.", "hint": "Do better."}},
        ),
        (MemoryError(), {"stopped": "Reading used more memory than allowed.", "limit": True}),
        (
            OSError(errno.EFBIG, "/x"),
            {"stopped": "Reading used more files or disk than allowed.", "limit": True},
        ),
        (KeyError("secret"), {"stopped": "The reader failed with KeyError.", "limit": False}),
    ],
    ids=["rejected", "memory", "disk limit", "fault"],
)
def test_errors_become_answers_without_a_traceback(error, answer, monkeypatch, capsys) -> None:
    def handle(_request):
        raise error

    monkeypatch.setattr(sys, "stdin", io.StringIO("{}"))
    answer_request(handle)
    assert json.loads(capsys.readouterr().out) == answer


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_no_fault_of_the_file_that_is_read(number: int, monkeypatch, capsys) -> None:
    """Its sender was told to save the weights alone, since reading took too much."""

    def handle(_request):
        raise OSError(number, "/x")

    monkeypatch.setattr(sys, "stdin", io.StringIO("{}"))
    answer_request(handle)
    with pytest.raises(HostDiskFull, match="no space left"):
        ask_child(ECHO, json.loads(capsys.readouterr().out), wall_s=20)


FLOODING = [sys.executable, "-I", str(Path(__file__).with_name("flooding_parser.py"))]
WALL_S = 10.0


@pytest.mark.parametrize("flood", ["memory", "processor", "disk", "output", "descriptors", "sleep"])
def test_a_flood_ends_at_its_limit_and_the_next_request_is_answered(flood: str, tmp_path) -> None:
    wall_s = 2.0 if flood == "sleep" else WALL_S
    began = time.monotonic()
    with pytest.raises(ChildStoppedError) as caught:
        ask(FLOODING, {"flood": flood, "folder": str(tmp_path)}, wall_s=wall_s)
    assert caught.value.limit
    assert time.monotonic() - began < wall_s + 5
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 4 << 20
    assert ask(FLOODING, {"flood": "", "folder": str(tmp_path)}, wall_s=60) == {"done": True}


def test_a_sandbox_that_is_missing_and_required_is_said_by_name(monkeypatch, capsys, tmp_path) -> None:
    def handle(request):
        bounds = Bounds(file_bytes=1, open_files=1)
        return {"warnings": lock_in(request, read=tmp_path, write=tmp_path, bounds=bounds)}

    monkeypatch.setattr("models.checkpoints.child.confine", lambda **_: ("landlock",))
    monkeypatch.setattr("models.checkpoints.child.seal", lambda *_: ())
    for mode, expected in (("required", "rejected"), ("degraded", "accepted")):
        monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps({"sandbox": mode})))
        answer_request(handle)
        answer = json.loads(capsys.readouterr().out)
        assert list(answer) == [expected]
        assert "landlock" in str(answer)
