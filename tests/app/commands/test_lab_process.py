"""How a process of the lab ends, as the command line tells it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from app.commands.lab_process import run_lab
from app.commands.outcome import CommandError


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file whose content is run in place of the lab."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path / "stand_in_of_the_lab.py"


@pytest.mark.parametrize("code", [0, 2, 3, 4, 130])
def test_an_exit_code_is_handed_on(module: Path, code: int) -> None:
    module.write_text(f"raise SystemExit({code})")
    assert run_lab(module.stem, {}) == code


@pytest.mark.parametrize("signal", ["SIGINT", "SIGTERM"])
def test_stopped_is_canceled(module: Path, signal: str) -> None:
    module.write_text(
        f"import os, signal\nsignal.signal(signal.{signal}, signal.SIG_DFL)\n"
        f"os.kill(os.getpid(), signal.{signal})"
    )
    assert run_lab(module.stem, {}) == 130


@pytest.mark.parametrize(
    ("content", "told", "next_step"),
    [
        ("os.kill(os.getpid(), 9)", "SIGKILL", "memory"),
        ("os.kill(os.getpid(), signal.SIGBUS)", "SIGBUS", "Repeat"),
        ("sys.stderr.close(); raise KeyError", "status 1", "Repeat"),
        ("sys.exit(120)", "status 120", "Repeat"),
    ],
)
def test_killed_or_broken_is_neither_canceled_nor_a_verdict(
    module: Path, content: str, told: str, next_step: str
) -> None:
    """130 told a script that somebody had stopped it, and 1 that a student was not accepted."""
    module.write_text(f"import os, signal, sys\n{content}")
    with pytest.raises(CommandError) as caught:
        run_lab(module.stem, {})
    assert (caught.value.exit_code, caught.value.code) == (2, "process_failed")
    assert told in caught.value.detail
    assert next_step in caught.value.hint


def test_ctrl_c_reaches_the_process_only_when_it_listens(module: Path) -> None:
    """It is told by SIGTERM as well; while it imported torch, Ctrl-C showed a traceback."""
    module.write_text("import signal, sys\nsys.exit(3 * (signal.getsignal(signal.SIGINT) is signal.SIG_IGN))")
    assert run_lab(module.stem, {}) == 3


def test_a_result_that_nobody_reads_is_an_error_and_no_traceback() -> None:
    """Not as JSON either, whose error goes to the same place."""
    content = (
        "import sys\nfrom models.lab.ending import ended\n"
        "sys.exit(ended(lambda: print('result') or 0, as_json=True))"
    )
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", content], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (2, "Error: No space left on device.\n")
