import pytest

from app.client.events import Event, event_lines, parse_events


def test_a_message_becomes_an_event() -> None:
    lines = ["id: 7", "event: progress", 'data: {"done": 3, "total": 8}', ""]
    assert list(parse_events(lines)) == [Event(7, "progress", {"done": 3, "total": 8})]


def test_data_over_several_lines_is_joined() -> None:
    lines = ["id: 1", "event: log", "data: {", 'data: "text": "x"}', ""]
    assert list(parse_events(lines)) == [Event(1, "log", {"text": "x"})]


def test_a_message_cut_off_by_a_lost_connection_is_left_out() -> None:
    lines = [
        "id: 1",
        "event: stage",
        'data: {"stage": "probe"}',
        "",
        "id: 2",
        "event: progress",
        'data: {"done": 1}',
    ]
    assert [event.seq for event in parse_events(lines)] == [1]


def test_keep_alive_comments_are_no_events() -> None:
    assert list(parse_events([": keep-alive", "", ":", ""])) == []


def test_messages_that_are_not_ours_are_left_out() -> None:
    lines = ["event: x", "data: {}", "", "id: abc", "data: {}", "", "id: 3", "data: {broken", ""]
    for number in ("\u00b2", "9" * 5000):
        lines += [f"id: {number}", "data: {}", ""]
    assert list(parse_events(lines)) == []


def test_done_is_the_last_event() -> None:
    assert Event(2, "done", {"status": "failed"}).is_last
    assert not Event(1, "status", {"status": "failed"}).is_last


@pytest.mark.parametrize("end", ["\u2028", "\u2029", "\x85"])
def test_what_unicode_calls_a_line_end_ends_no_line_within_a_text(end: str) -> None:
    """A line that a job logged could pose as the event ``done``: the watcher went away from a running job."""
    text = end.join(["a", "", "event: done", "id: 2147483647", "data: {}", "", "b"])
    body = f'id: 1\nevent: log\ndata: {{"text":"{text}"}}\n\n'.encode()
    for size in (1, 7, len(body)):
        chunks = [body[start : start + size] for start in range(0, len(body), size)]
        assert list(parse_events(event_lines(chunks))) == [Event(1, "log", {"text": text})]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_each_line_end_of_the_standard_ends_one_line(end: bytes, size: int) -> None:
    body = end.join([b"id: 1", b"data: {}", b"", b"id: 2", b""])
    chunks = [body[start : start + size] for start in range(0, len(body), size)]
    assert list(event_lines(chunks)) == ["id: 1", "data: {}", "", "id: 2"]
