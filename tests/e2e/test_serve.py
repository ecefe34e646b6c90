"""``proctor serve`` as a user meets it: real processes, a real port, real signals."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.client import ProctorClient
from tests.e2e.running_service import START_S, Running, is_alive, serving, start, stop, wait_until


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with serving(tmp_path_factory.mktemp("serve") / "home") as running:
        yield running


def test_it_answers_where_it_says(service: Running) -> None:
    assert httpx.get(f"{service.url}/livez").status_code == 200
    assert httpx.get(f"{service.url}/v1/jobs").status_code == 401


def test_the_command_line_finds_address_and_key(service: Running) -> None:
    done = service.proctor("list", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, [])


def test_a_second_server_on_the_same_home_is_refused(service: Running) -> None:
    done = service.proctor("serve", "--port=0")
    assert done.returncode == 2
    assert service.url in done.stderr


def test_a_text_file_is_refused_as_unsupported(service: Running, tmp_path: Path) -> None:
    path = tmp_path / "teacher.pt"
    path.write_text("weights, honestly\n" * 20)
    done = service.proctor("submit", str(path))
    assert done.returncode == 3
    assert "Hint:" in done.stderr


def test_everything_it_keeps_is_its_owners_alone(service: Running) -> None:
    loose = {
        str(path.relative_to(service.home)): oct(path.stat().st_mode)
        for path in service.home.rglob("*")
        if path.stat().st_mode & 0o077
    }
    assert loose == {}


def test_doctor_finds_nothing_broken(service: Running) -> None:
    done = service.proctor("doctor", "--json")
    findings = {finding["name"]: finding["state"] for finding in json.loads(done.stdout)}
    assert "failed" not in findings.values()
    assert (findings["key"], findings["database"], done.returncode) == ("ok", "ok", 0)


def test_a_killed_api_comes_back_and_clients_only_wait(service: Running) -> None:
    os.kill(service.pids["api"], signal.SIGKILL)
    with ProctorClient(service.url, service.key) as client:
        assert list(client.jobs(limit=1)) == []


def test_ctrl_c_leaves_no_process(tmp_path: Path) -> None:
    running = start(tmp_path / "home")
    stop(running, signal.SIGINT)
    assert "no process is left" in (tmp_path / "serve.log").read_text()


def test_killing_it_leaves_no_process(tmp_path: Path) -> None:
    running = start(tmp_path / "home")
    running.process.kill()
    running.process.communicate(timeout=START_S)
    wait_until(lambda: not any(is_alive(pid) for pid in running.pids.values()), timeout_s=10.0)
