"""Show what is going on: moving bars on a terminal, one line now and then anywhere else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)
from rich.table import Column
from rich.text import Text

from app.client.events import Event
from app.client.transfer import OnBytes, ignore_bytes

STAGE_TITLES = {
    "inspect": "Inspecting the file",
    "probe": "Probing the teacher",
    "distill": "Distilling students",
    "verify": "Verifying students",
    "protect": "Training the nasty teacher",
    "measure": "Measuring the harm to students",
    "report": "Writing the report",
}
#: On a plain stream, so long may pass between two lines on one stage.
PLAIN_INTERVAL_S = 5.0
_POSITION_KEYS = frozenset({"stage", "done", "total", "eta_s", "scalars"})


class JobDisplay(Protocol):
    """Shows a job's events as they come."""

    def __enter__(self) -> Self:
        """Begin to show."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the last state on the screen."""

    def handle(self, event: Event) -> None:
        """Show one event."""


def make_display(console: Console) -> JobDisplay:
    """Choose the display that fits ``console``."""
    return LiveDisplay(console) if console.is_terminal else PlainDisplay(console)


def scalars_text(event: Event) -> str:
    """Write a progress event's named numbers, at most four, shortest useful form."""
    scalars = event.data.get("scalars")
    if not isinstance(scalars, dict):
        scalars = {name: value for name, value in event.data.items() if name not in _POSITION_KEYS}
    numbers = [(name, value) for name, value in scalars.items() if isinstance(value, int | float)]
    return "  ".join(f"{name.replace('_', ' ')} {_number(value)}" for name, value in numbers[:4])


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def stage_of(event: Event, current: str) -> str:
    """Name the stage an event belongs to; those that do not say belong to the current one."""
    return str(event.data.get("stage") or current)


def waiting_text(event: Event) -> str:
    """Say that a job waits for a worker, and whether it had one; empty for other events."""
    if event.type != "status" or event.data.get("status") != "queued":
        return ""
    return (
        "The worker stopped; waiting for another ..."
        if event.data.get("attempt")
        else "Waiting for a worker ..."
    )


def duration_text(seconds: float) -> str:
    """Write a duration as people say it."""
    whole = round(seconds)
    if whole < 90:
        return f"{whole} s"
    if whole < 5400:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


class _RemainingColumn(ProgressColumn):
    """The server's own estimate, which knows the schedule; Rich would only extrapolate."""

    def render(self, task: Task) -> Text:
        eta_s = task.fields.get("eta_s")
        if task.finished or not isinstance(eta_s, int | float):
            return Text("")
        return Text(f"{duration_text(eta_s)} left", style="progress.remaining")


class LiveDisplay:
    """One moving bar per stage."""

    def __init__(self, console: Console) -> None:
        """Prepare bars for ``console``, which is a terminal."""
        self._progress = Progress(
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            _RemainingColumn(table_column=Column(no_wrap=True)),
            # Takes what width is left, so that narrow terminals cut the numbers and not the bar.
            TextColumn(
                "[dim]{task.fields[scalars]}",
                table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"),
            ),
            console=console,
            expand=True,
        )
        self._tasks: dict[str, TaskID] = {}
        self._current = ""

    def __enter__(self) -> Self:
        """Begin to redraw."""
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the last state on the screen."""
        self._progress.stop()

    def handle(self, event: Event) -> None:
        """Move the bar of the event's stage."""
        if event.type == "stage":
            self._enter_stage(str(event.data.get("stage", "")))
        elif event.type == "progress":
            self._enter_stage(stage_of(event, self._current))
            self._progress.update(
                self._tasks[self._current],
                completed=event.data.get("done"),
                total=event.data.get("total"),
                eta_s=event.data.get("eta_s"),
                scalars=scalars_text(event),
            )
        elif event.type == "log":
            self._progress.console.print(f"[dim]{escape(str(event.data.get('text', '')))}")
        elif text := waiting_text(event):
            self._progress.console.print(f"[dim]{text}")
        elif event.is_last and event.data.get("status") == "succeeded":
            self._finish(self._current)

    def _enter_stage(self, stage: str) -> None:
        if stage == self._current:
            return
        self._finish(self._current)
        self._current = stage
        if stage not in self._tasks:
            title = escape(STAGE_TITLES.get(stage, stage))
            self._tasks[stage] = self._progress.add_task(title, total=None, scalars="", eta_s=None)

    def _finish(self, stage: str) -> None:
        if stage in self._tasks:
            self._progress.update(self._tasks[stage], total=1, completed=1, scalars="")


class PlainDisplay:
    """One line per stage, then one every few seconds: for logs and pipes."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        """Write to ``console``; ``clock`` gives seconds."""
        self._console = console
        self._clock = clock
        self._current = ""
        self._last_s = -PLAIN_INTERVAL_S

    def __enter__(self) -> Self:
        """Begin to write."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write nothing more."""

    def handle(self, event: Event) -> None:
        """Write a line if the event is worth one."""
        if event.type == "stage":
            self._enter_stage(str(event.data.get("stage", "")))
        elif event.type == "progress":
            self._enter_stage(stage_of(event, self._current))
            self._write_progress(event)
        elif event.type == "log":
            self._write(f"  {event.data.get('text', '')}")
        elif text := waiting_text(event):
            self._write(text)

    def _enter_stage(self, stage: str) -> None:
        if stage != self._current:
            self._current = stage
            self._last_s = -PLAIN_INTERVAL_S
            self._write(f"{STAGE_TITLES.get(stage, stage)} ...")

    def _write_progress(self, event: Event) -> None:
        now = self._clock()
        if now - self._last_s < PLAIN_INTERVAL_S:
            return
        self._last_s = now
        eta_s = event.data.get("eta_s")
        remaining = f"  {duration_text(eta_s)} left" if isinstance(eta_s, int | float) else ""
        position = f"{event.data.get('done')}/{event.data.get('total')}"
        self._write(f"  {position}{remaining}  {scalars_text(event)}".rstrip())

    def _write(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def transfer_bar(console: Console, title: str, size_bytes: int) -> Iterator[OnBytes]:
    """Show one file moving; yields what to call with the number of bytes moved."""
    if not console.is_terminal:
        console.print(f"{title} ({size_bytes / 1e6:.1f} MB)", markup=False, highlight=False, soft_wrap=True)
        yield ignore_bytes
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=28),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(escape(title), total=size_bytes)
        yield lambda count: progress.advance(task, count)
