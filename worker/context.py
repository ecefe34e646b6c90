"""The library's monitor in a job's process: says what happens, and keeps states to resume from."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import IO, Any

from app.core.states import Stage
from models.engine.monitor import ResumeState
from worker.child_job import StageOutput
from worker.resume import ResumeStore

#: The supervisor keeps one progress message a second at most; more would only be thrown away.
PROGRESS_INTERVAL_S = 0.2


class Outbox:
    """Writes messages to the supervisor, one JSON object a line."""

    def __init__(self, stream: IO[str]) -> None:
        """Write to ``stream``, which nothing else writes to."""
        self._stream = stream

    def say(self, kind: str, **content: Any) -> None:
        """Send one message."""
        self._stream.write(json.dumps({"type": kind, **plain(content)}, allow_nan=False) + "\n")
        self._stream.flush()

    def stage_done(self, stage: Stage, output: StageOutput) -> None:
        """Tell that a stage is done and what it left."""
        files = [{"name": file.name, "media_type": file.media_type} for file in output.files]
        self.say("stage_done", stage=stage, result=output.result, files=files)


class JobMonitor:
    """A ``models.engine.monitor.Monitor`` for one stage of a job."""

    def __init__(
        self, outbox: Outbox, stage: Stage, stop: threading.Event, resume: ResumeStore, *, checkpoint_s: float
    ) -> None:
        """Report to ``outbox`` about ``stage``, until ``stop`` is set."""
        self._outbox = outbox
        self._stage = stage
        self._stop = stop
        self._resume = resume
        self._checkpoint_s = checkpoint_s
        self._kept_at = time.monotonic()
        self._said_at = -math.inf
        self._key = str(stage)
        self._place, self._places = 0, 1
        self._done, self._total = 0, 1

    def part(self, name: str, place: int, places: int) -> JobMonitor:
        """Return the monitor of one of several runs within the stage.

        Args:
            name: Tells its states to resume from apart from the others'.
            place: Its place among the runs, from 0.
            places: How many runs of about the same length there are.
        """
        made = JobMonitor(
            self._outbox, self._stage, self._stop, self._resume, checkpoint_s=self._checkpoint_s
        )
        made._key = f"{self._stage}_{name}"
        made._place, made._places = place, places
        made._done, made._total = place, places
        return made

    def progress(self, done: int, total: int, **scalars: float) -> None:
        """Pass progress on, but not more often than anyone looks; the last step always."""
        done, total = self._place * total + done, self._places * total
        self._done, self._total = done, total
        now = time.monotonic()
        if done < total and now - self._said_at < PROGRESS_INTERVAL_S:
            return
        self._said_at = now
        finite = {name: float(value) for name, value in scalars.items() if math.isfinite(value)}
        self._outbox.say("progress", stage=self._stage, done=done, total=total, scalars=finite)

    def metric(self, series: str, step: int, value: float) -> None:
        """Add a point to a curve."""
        if math.isfinite(value):
            self._outbox.say("metric", stage=self._stage, series=series, step=step, value=value)

    def log(self, text: str) -> None:
        """Pass a line on to people."""
        self._outbox.say("log", text=text[:4096])

    def wants_checkpoint(self) -> bool:
        """Whether the last state is old enough to be worth another."""
        return time.monotonic() - self._kept_at >= self._checkpoint_s

    def checkpoint(self, state: ResumeState) -> None:
        """Keep a state, and then tell how far one comes with it."""
        self._resume.keep(self._key, state)
        self._kept_at = time.monotonic()
        self._outbox.say("kept", stage=self._stage, done=self._done, total=max(self._total, 1))

    def resume(self) -> ResumeState | None:
        """Return the newest state of this run that an earlier attempt left whole."""
        return self._resume.newest(self._key)

    def should_stop(self) -> bool:
        """Whether the supervisor asked to stop."""
        return self._stop.is_set()


def plain(value: Any) -> Any:
    """Turn results into JSON that every database takes: no NaN, no infinity, no NUL character."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return str(value).replace("\0", "").encode("utf-8", "replace").decode("utf-8")
    return value
