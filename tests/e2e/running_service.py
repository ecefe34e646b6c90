"""A ``proctor serve`` under test: real processes, a real port."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

START_S = 60.0
NOTHING: Mapping[str, str] = {}
PROCTOR = [sys.executable, "-m", "app.cli"]


@dataclass
class Running:
    """A service under test."""

    process: subprocess.Popen[str]
    home: Path
    url: str
    key: str
    pids: dict[str, int]
    environment: Mapping[str, str]
    """What was set for it beyond the test's own environment."""

    def proctor(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PROCTOR_HOME": str(self.home)}
        command = [*PROCTOR, *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    def logs(self) -> str:
        parts = [
            f"== {path.name}\n{path.read_text()[-2000:]}" for path in sorted((self.home / "logs").iterdir())
        ]
        return "\n".join(parts)


def wait_until(condition: Callable[[], bool], timeout_s: float = START_S) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def start(home: Path, environment: Mapping[str, str] = NOTHING, program: Sequence[str] = PROCTOR) -> Running:
    """Start a service and wait until it says that it is ready."""
    command = [*program, "serve", "--json", "--port=0", f"--home={home}"]
    with (home.parent / "serve.log").open("w") as log:
        process = subprocess.Popen(
            command,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            process_group=0,
        )
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if line == "}\n":
            break
    ready = json.loads("".join(lines))
    return Running(process, home, ready["url"], ready["key"], ready["processes"], environment)


@contextmanager
def serving(
    home: Path, environment: Mapping[str, str] = NOTHING, program: Sequence[str] = PROCTOR
) -> Iterator[Running]:
    """Run a service for a while; afterwards none of it may be left."""
    running = start(home, environment, program)
    try:
        yield running
    finally:
        stop(running, signal.SIGTERM)


def stop(running: Running, number: signal.Signals) -> None:
    """Stop a service by a signal, and see that it cleans up."""
    running.process.send_signal(number)
    running.process.communicate(timeout=START_S)
    assert running.process.returncode == 0
    assert [name for name, pid in running.pids.items() if is_alive(pid)] == []
    assert not (running.home / "server.json").exists()
