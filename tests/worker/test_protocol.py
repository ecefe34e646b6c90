from __future__ import annotations

import json
import os
from collections.abc import Iterator

import pytest

from worker.sandbox.protocol import (
    MAX_LINE_BYTES,
    Log,
    Message,
    MessageStream,
    Progress,
    ProtocolError,
    StageDone,
    parse,
)

PROGRESS = {"type": "progress", "stage": "probe", "done": 1, "total": 2, "scalars": {"loss": 0.5}}


def line(**changes: object) -> bytes:
    return json.dumps({**PROGRESS, **changes}).encode()


def test_a_message_is_read() -> None:
    said = parse(line())
    assert isinstance(said, Progress)
    assert (said.done, said.scalars) == (1, {"loss": 0.5})


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"null",
        b"[]",
        b"{]",
        b"\xff",
        line(type="launch"),
        json.dumps({"type": "kept", "stage": "probe", "done": 0, "total": 0}).encode(),
        line(extra=1),
        line(stage="elsewhere"),
        line(done=-1),
        line(done=2**40),
        line(done=1.5),
        line(scalars={"x": "text"}),
        line(scalars={str(number): 1.0 for number in range(65)}),
        line(scalars={"x" * 129: 1.0}),
        line(scalars={"loss": float("nan")}),
        line(scalars={"loss": float("inf")}),
        b'{"type": "log", "text": "\\u0000"}',
        b'{"type": "stage_done", "stage": "probe", "result": {"a": [{"\\u0000": 1}]}, "files": []}',
        b'{"type": "log", "text": "\\ud800"}',
        json.dumps({"type": "log", "text": "x" * 4097}).encode(),
        json.dumps({"type": "failed", "code": "Not A Code", "detail": "", "hint": ""}).encode(),
    ],
)
def test_what_is_no_message_is_refused(said: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse(said)


def test_a_text_that_only_looks_like_an_escaped_nul_is_read() -> None:
    """Backslash and u0000 are six characters: an entry of a checkpoint or a class may be called so."""
    log = parse(json.dumps({"type": "log", "text": "\\u0000"}).encode())
    assert isinstance(log, Log)
    assert log.text == "\\u0000"


def test_what_a_terminal_would_obey_becomes_harmless() -> None:
    """A process that was taken over could rename the window, clear the screen or write over a verdict."""
    log = parse(json.dumps({"type": "log", "text": "a\tb\nc\x1b[2Jd\re\x9bf\u2028g\u202eh \u00e9"}).encode())
    assert isinstance(log, Log)
    assert log.text == "a\tb\nc\ufffd[2Jd\ufffde\ufffdf\ufffdg\ufffdh \u00e9"
    result = {"probe": [{"sentence": "clean\x1b[1A"}]}
    done = parse(json.dumps({"type": "stage_done", "stage": "probe", "result": result, "files": []}).encode())
    assert isinstance(done, StageDone)
    assert done.result == {"probe": [{"sentence": "clean\ufffd[1A"}]}


@pytest.mark.parametrize("name", ["../escape", "/etc/passwd", ".hidden", "", "a b", "a\n", "x" * 129])
def test_file_names_that_lead_elsewhere_are_refused(name: str) -> None:
    file = {"name": name, "media_type": "text/plain"}
    with pytest.raises(ProtocolError):
        parse(json.dumps({"type": "stage_done", "stage": "probe", "result": {}, "files": [file]}).encode())


@pytest.mark.parametrize("media_type", ["text/html\r\nX: y", "text", "text/html; charset=utf-7"])
def test_media_types_that_could_become_headers_are_refused(media_type: str) -> None:
    file = {"name": "x", "media_type": media_type}
    with pytest.raises(ProtocolError):
        parse(json.dumps({"type": "stage_done", "stage": "probe", "result": {}, "files": [file]}).encode())


def test_numbers_that_are_not_finite_are_refused_in_results_too() -> None:
    with pytest.raises(ProtocolError):
        parse(b'{"type": "stage_done", "stage": "probe", "result": {"x": NaN}, "files": []}')


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    for descriptor in (reading, writing):
        try:
            os.close(descriptor)
        except OSError:
            continue


def drain(stream: MessageStream) -> list[Message]:
    said: list[Message] = []
    while not stream.closed:
        said += stream.poll(1.0)
    return said


def test_a_line_may_come_in_pieces(pipe: tuple[int, int]) -> None:
    stream = MessageStream(pipe[0])
    content = line() + b"\n" + line(done=2) + b"\n"
    said: list[Message] = []
    for start in range(0, len(content), 7):
        os.write(pipe[1], content[start : start + 7])
        said += stream.poll(1.0)
    os.close(pipe[1])
    said += drain(stream)
    assert [each.done for each in said if isinstance(each, Progress)] == [1, 2]


def test_silence_is_not_waited_for(pipe: tuple[int, int]) -> None:
    stream = MessageStream(pipe[0])
    assert list(stream.poll(0.0)) == []
    assert not stream.closed


def test_a_line_that_is_cut_off_is_refused(pipe: tuple[int, int]) -> None:
    os.write(pipe[1], line())
    os.close(pipe[1])
    with pytest.raises(ProtocolError, match="cut off"):
        drain(MessageStream(pipe[0]))


def test_a_line_without_end_is_refused(pipe: tuple[int, int]) -> None:
    stream = MessageStream(pipe[0])
    stream._rest = b"x" * MAX_LINE_BYTES
    os.write(pipe[1], b"x")
    with pytest.raises(ProtocolError, match="more than"):
        list(stream.poll(1.0))
