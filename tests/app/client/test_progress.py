import io

import pytest
from rich.console import Console

from app.client.events import Event
from app.client.progress import (
    LiveDisplay,
    PlainDisplay,
    duration_text,
    make_display,
    scalars_text,
    transfer_bar,
)


def plain_console() -> Console:
    return Console(file=io.StringIO(), width=200)


def terminal_console() -> Console:
    return Console(file=io.StringIO(), width=200, force_terminal=True, color_system=None)


def text_of(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def progress(seq: int, done: int, **more: object) -> Event:
    return Event(seq, "progress", {"stage": "distill", "done": done, "total": 100, "eta_s": 130.0, **more})


def test_pipes_get_lines_and_terminals_get_bars() -> None:
    assert isinstance(make_display(plain_console()), PlainDisplay)
    assert isinstance(make_display(terminal_console()), LiveDisplay)


def test_plain_lines_name_the_stage_once() -> None:
    console = plain_console()
    display = PlainDisplay(console, clock=lambda: 0.0)
    display.handle(Event(1, "stage", {"stage": "distill"}))
    display.handle(progress(2, 10))
    display.handle(progress(3, 20))
    assert text_of(console).splitlines() == ["Distilling students ...", "  10/100  2 min 10 s left"]


def test_plain_lines_come_again_after_a_while() -> None:
    console, moments = plain_console(), iter([0.0, 4.9, 5.0])
    display = PlainDisplay(console, clock=lambda: next(moments))
    for seq, done in enumerate((10, 20, 30)):
        display.handle(progress(seq, done))
    assert [line.split()[0] for line in text_of(console).splitlines()[1:]] == ["10/100", "30/100"]


@pytest.mark.parametrize("make", [PlainDisplay, LiveDisplay])
def test_a_lost_worker_is_told(make: type[PlainDisplay] | type[LiveDisplay]) -> None:
    console = terminal_console()
    with make(console) as display:
        display.handle(Event(1, "status", {"status": "queued", "attempt": 0}))
        display.handle(Event(2, "status", {"status": "running", "attempt": 1}))
        display.handle(Event(3, "status", {"status": "queued", "attempt": 1}))
    assert "Waiting for a worker ..." in text_of(console)
    assert "The worker stopped; waiting for another ..." in text_of(console)


def test_log_text_is_not_read_as_markup() -> None:
    console = plain_console()
    PlainDisplay(console).handle(Event(1, "log", {"text": "[red]class[/red] name"}))
    assert "[red]class[/red] name" in text_of(console)


def test_live_logs_are_not_read_as_markup() -> None:
    console = terminal_console()
    with LiveDisplay(console) as display:
        display.handle(Event(1, "log", {"text": "[/nonsense] name"}))
    assert "[/nonsense] name" in text_of(console)


def test_live_bars_follow_the_stages() -> None:
    console = terminal_console()
    with LiveDisplay(console) as display:
        display.handle(Event(1, "stage", {"stage": "probe"}))
        display.handle(progress(2, 40, scalars={"loss": 0.51234}))
        display.handle(Event(3, "done", {"status": "succeeded"}))
    last_frame = text_of(console)[-600:]
    assert "Probing the teacher" in last_frame
    assert "Distilling students" in last_frame
    assert last_frame.count("100%") >= 2


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"scalars": {"clean_accuracy": 0.98765, "loss": 1.5}}, "clean accuracy 0.988  loss 1.5"),
        ({"done": 1, "total": 2, "stage": "probe", "loss": 2}, "loss 2"),
        ({"scalars": {"name": "text"}}, ""),
        ({"scalars": {"images_per_s": 3012.7}}, "images per s 3,013"),
    ],
)
def test_scalars(data: dict, expected: str) -> None:
    assert scalars_text(Event(1, "progress", data)) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"), [(3.2, "3 s"), (89, "89 s"), (130, "2 min 10 s"), (7260, "2 h 01 min")]
)
def test_durations(seconds: float, expected: str) -> None:
    assert duration_text(seconds) == expected


def test_a_transfer_on_a_pipe_is_one_line() -> None:
    console = plain_console()
    with transfer_bar(console, "Uploading teacher.pt", 2_500_000) as on_bytes:
        on_bytes(2_500_000)
    assert text_of(console) == "Uploading teacher.pt (2.5 MB)\n"


def test_a_transfer_on_a_terminal_reaches_its_size() -> None:
    console = terminal_console()
    with transfer_bar(console, "Uploading teacher.pt", 2_500_000) as on_bytes:
        on_bytes(2_500_000)
    assert "2.5/2.5 MB" in text_of(console)
