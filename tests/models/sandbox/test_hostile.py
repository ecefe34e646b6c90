"""Hostile code inside each profile, in a real process: what it reaches (nothing) and what still works."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from models.sandbox.level import sandbox_level

HOSTILE = Path(__file__).with_name("hostile.py")
REFUSED = {"EACCES", "EPERM", "ENOSYS", "EXDEV"}  # EXDEV: Landlock's answer to a link from elsewhere
Outcomes = Mapping[str, Mapping[str, str]]


def run(profile: str, folder: Path, port: int) -> Outcomes:
    (folder / "scratch").mkdir()
    for name in ("outside.txt", "doomed.txt"):
        (folder / name).write_text("secret")
    command = [sys.executable, "-I", str(HOSTILE), profile, str(folder), str(port)]
    environment = {"OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory, port: int) -> Outcomes:
    return run("none", tmp_path_factory.mktemp("none"), port)


@pytest.fixture(scope="module", params=["parse", "train"])
def inside(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, port: int) -> Outcomes:
    return run(request.param, tmp_path_factory.mktemp(request.param), port)


def needs(primitive: str) -> None:
    if primitive in sandbox_level().missing:
        pytest.skip(f"this machine has no {primitive}: see `proctor doctor`")


def test_the_profile_is_complete_where_the_machine_is(inside: Outcomes) -> None:
    assert tuple(inside["missing"]) == sandbox_level().missing


def test_the_attempts_are_real(outside: Outcomes) -> None:
    """Without a profile they succeed, as far as this user may."""
    assert outside["files"]["neighbour"] == outside["files"]["by_symlink"] == "done"
    assert outside["connections"]["tcp"] == outside["connections"]["pair"] == "done"
    assert outside["processes"]["fork"] == outside["processes"]["run"] == "done"
    assert outside["processes"]["kill"] == outside["processes"]["kill_by_pipe"] == "done"
    assert outside["attributes"]["mode"] == outside["attributes"]["delete"] == "done"


def test_no_file_outside_is_reached(inside: Outcomes) -> None:
    needs("landlock")
    assert len(inside["files"]) == 12
    assert set(inside["files"].values()) <= REFUSED, inside["files"]


@pytest.mark.parametrize("group", ["attributes", "connections", "processes", "surfaces"])
def test_no_system_call_reaches_beyond_the_process(inside: Outcomes, group: str) -> None:
    needs("seccomp")
    if group == "attributes":
        needs("landlock")
    assert set(inside[group].values()) <= REFUSED, inside[group]


def test_six_kinds_of_connection_are_tried(inside: Outcomes) -> None:
    assert len(inside["connections"]) == 6


def test_its_own_work_goes_on(inside: Outcomes) -> None:
    assert set(inside["allowed"].values()) == {"done"}


def test_only_training_starts_threads(request: pytest.FixtureRequest, inside: Outcomes) -> None:
    needs("seccomp")
    training = request.node.callspec.params["inside"] == "train"
    assert (inside["thread"]["thread"] == "done") == training
