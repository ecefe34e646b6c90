"""``proctor run``: the journey in the foreground, which leaves nothing but its results."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from models.architectures import build
from models.recipes.architecture import ArchitectureSpec
from tests.described_networks import trained
from tests.e2e.running_service import wait_until
from tests.layer_lists import RESIDUAL

PROGRAM = Path(__file__).with_name("proctor_with_fake_stages.py")


def processes_in(folder: Path) -> list[str]:
    """List the processes that work below ``folder``."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink().is_relative_to(folder):
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("teacher") / "teacher.safetensors"
    save_file(build(ArchitectureSpec("wrn-10-2", 10, 16)).state_dict(), path)
    return path


def start(teacher: Path, folder: Path, recipe: dict, *more: str) -> subprocess.Popen[str]:
    (folder / "recipe.json").write_text(json.dumps(recipe))
    (folder / "temporary").mkdir()
    options = [
        "--json",
        f"--recipe={folder / 'recipe.json'}",
        f"--output={folder / 'out'}",
        "--input-size=16",
        *more,
    ]
    with (folder / "log").open("w") as log:
        return subprocess.Popen(
            [sys.executable, str(PROGRAM), "run", str(teacher), *options],
            env={**os.environ, "TMPDIR": str(folder / "temporary")},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            process_group=0,
        )


def assert_nothing_is_left(folder: Path) -> None:
    assert list((folder / "temporary").iterdir()) == []
    wait_until(lambda: processes_in(folder) == [], timeout_s=5.0)


def test_the_results_are_saved_and_nothing_else(teacher: Path, tmp_path: Path) -> None:
    process = start(teacher, tmp_path, {"seed": 2, "control": False})
    printed, _ = process.communicate(timeout=120)
    assert process.returncode == 1, (tmp_path / "log").read_text()
    assert json.loads(printed)["accepted"] is False
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"student.safetensors", "report.html"}
    assert_nothing_is_left(tmp_path)


def test_a_network_of_the_users_own_is_described_beside_its_checkpoint(tmp_path: Path) -> None:
    save_file(trained("residual").state_dict(), tmp_path / "net.safetensors")
    (tmp_path / "net.json").write_text(json.dumps(RESIDUAL, indent=2))
    recipe = {"seed": 1, "control": True, "student": {"architecture": "wrn-10-1"}}
    process = start(tmp_path / "net.safetensors", tmp_path, recipe, f"--layers={tmp_path / 'net.json'}")
    printed, _ = process.communicate(timeout=120)
    assert process.returncode == 0, (tmp_path / "log").read_text()
    assert json.loads(printed)["accepted"] is True


def test_ctrl_c_cancels_within_seconds(teacher: Path, tmp_path: Path) -> None:
    process = start(teacher, tmp_path, {"seed": 6000})
    wait_until(lambda: "Distilling students" in (tmp_path / "log").read_text(), timeout_s=120)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Canceled." in (tmp_path / "log").read_text()
    assert time.monotonic() - began < 30
    assert_nothing_is_left(tmp_path)


def test_killing_it_ends_its_workers_and_their_jobs(teacher: Path, tmp_path: Path) -> None:
    process = start(teacher, tmp_path, {"seed": 6000})
    wait_until(lambda: "Distilling students" in (tmp_path / "log").read_text(), timeout_s=120)
    process.kill()
    process.communicate(timeout=60)
    wait_until(lambda: processes_in(tmp_path) == [], timeout_s=15.0)
