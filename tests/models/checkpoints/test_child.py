"""The process that reads hostile bytes: what it answers, and what happens when it does not."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import pytest

from models.checkpoints.child import ChildRejectedError, ChildStoppedError, answer_request, ask_child
from models.errors import CheckpointRejected

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


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (
            CheckpointRejected("It is bad.", code="bad", hint="Do better."),
            {"rejected": {"code": "bad", "detail": "It is bad.", "hint": "Do better."}},
        ),
        (MemoryError(), {"stopped": "Reading used more memory than allowed.", "limit": True}),
        (KeyError("secret"), {"stopped": "The reader failed with KeyError.", "limit": False}),
    ],
    ids=["rejected", "memory", "fault"],
)
def test_errors_become_answers_without_a_traceback(error, answer, monkeypatch, capsys) -> None:
    def handle(_request):
        raise error

    monkeypatch.setattr(sys, "stdin", io.StringIO("{}"))
    answer_request(handle)
    assert json.loads(capsys.readouterr().out) == answer


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("bytearray(2**26)", 1),
        ("open(path, 'wb', buffering=0).write(bytes(2**21))", 1),
        ("while True: pass", -24),
    ],
    ids=["memory", "file", "processor"],
)
def test_a_process_can_bound_itself(code: str, status: int, tmp_path) -> None:
    bound = "from models.checkpoints.child import bound_process; import signal; "
    bound += f"signal.signal(signal.SIGXFSZ, signal.SIG_IGN); path = {str(tmp_path / 'out')!r}\n"
    bound += "bound_process(cpu_s=1, memory_bytes=2**24, file_bytes=2**20)\n"
    written = "assert open(path, 'wb', buffering=0).write(bytes(2**21)) == 2**21" if "open" in code else code
    done = subprocess.run([sys.executable, "-I", "-c", bound + written], capture_output=True, check=False)
    assert done.returncode == status
