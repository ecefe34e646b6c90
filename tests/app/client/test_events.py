from app.client.events import Event, parse_events


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
    assert list(parse_events(lines)) == []


def test_done_is_the_last_event() -> None:
    assert Event(2, "done", {"status": "failed"}).is_last
    assert not Event(1, "status", {"status": "failed"}).is_last
