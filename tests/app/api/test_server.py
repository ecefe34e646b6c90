"""What only shows on a real socket: streaming, broken connections, memory, sudden death."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from app.core.states import EventKind, JobKind, JobStatus, Scope
from app.db import tables
from app.db.base import make_engine, make_session_factory
from app.services import endings, events, keys
from tests.layer_lists import RELU, listed

MIB = 1024 * 1024


def wait_until(met: Callable[[], bool], timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not met():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


@dataclass
class Server:
    home: Path
    port: int
    key: str
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = {
            "PATH": os.environ["PATH"],
            "PROCTOR_HOME": str(self.home),
            "PROCTOR_INSPECT_WAIT_S": "0",
            "PROCTOR_MAX_UPLOAD_BYTES": str(64 * MIB),
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "api", f"--port={self.port}"],
            env=environment,
            cwd=Path(__file__).parents[3],
        )
        wait_until(self.alive)

    def alive(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, "the server ended"
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/livez").status_code == 200
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def memory(self) -> int:
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024

    def mapped_files(self) -> str:
        assert self.process is not None
        return Path(f"/proc/{self.process.pid}/maps").read_text()

    def client(self) -> httpx.Client:
        return httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}",
            headers={"Authorization": f"Bearer {self.key}"},
            timeout=60,
        )

    def unfinished(self) -> list[Path]:
        return list((self.home / "blobs" / "writing").iterdir())


@pytest.fixture(scope="module")
def stopped_server(tmp_path_factory: pytest.TempPathFactory, migrated_database: Path) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("home")
    shutil.copy(migrated_database, home / "proctor.db")
    engine = make_engine(f"sqlite:///{home}/proctor.db")
    with make_session_factory(engine).begin() as session:
        key = keys.create(session, "ours", "test", [Scope.SUBMIT, Scope.READ])[1]
        session.add(
            tables.Teacher(
                id="tch_" + "0" * 26,
                tenant="ours",
                filename="a.pt",
                status="ready",
                sha256="0" * 64,
                size_bytes=1,
                declared={},
                declared_sha256="0" * 64,
            )
        )
    engine.dispose()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Server(home, port, key)
    yield server
    server.kill()


@pytest.fixture
def server(stopped_server: Server) -> Server:
    if stopped_server.process is None or stopped_server.process.poll() is not None:
        stopped_server.start()
    return stopped_server


def test_it_starts_without_what_only_workers_need(server):
    """Torch alone would double the time it takes to start; a limit in seconds only tells machines apart."""
    mapped = server.mapped_files()
    assert "pydantic_core" in mapped
    assert "torch" not in mapped
    assert "numpy" not in mapped


def test_an_upload_of_48_mib_does_not_pass_through_memory(server):
    before = server.memory()

    def zeros():
        for _ in range(48):
            yield bytes(MIB)

    with server.client() as client:
        answer = client.put("/v1/teachers/a.pt", content=zeros(), headers={"Content-Length": str(48 * MIB)})
    assert answer.status_code == 202
    assert server.memory() - before < 16 * MIB


def test_a_client_that_drops_leaves_no_temporary_file(server):
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        head = (
            "PUT /v1/teachers/dropped.pt HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Bearer {server.key}\r\nContent-Length: 4000000\r\n\r\n"
        )
        connection.sendall(head.encode() + bytes(2_000_000))
        wait_until(lambda: len(server.unfinished()) == 1)
    wait_until(lambda: server.unfinished() == [])


def test_a_body_over_the_limit_is_answered_while_it_is_still_being_sent(server):
    def endless():
        for _ in range(65):
            yield bytes(MIB)

    with server.client() as client:
        answer = client.put("/v1/teachers/a.pt", content=endless(), headers={"Content-Length": str(65 * MIB)})
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def test_the_longest_layer_list_passes_a_real_server_in_small_pieces(server):
    """As it arrives from far away: the HTTP parser's limit is on a head that is not complete yet."""
    text = json.dumps(listed(32, *[RELU] * 1_785), separators=(",", ":"))
    query = "".join(f"%{byte:02X}" for byte in text.encode())
    head = (
        f"PUT /v1/teachers/a.pt?layers={query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Authorization: Bearer {server.key}\r\nContent-Length: 7\r\n\r\nweights"
    ).encode()
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(head), 8192):
            connection.sendall(head[start : start + 8192])
            time.sleep(0.01)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    status, _, body = answer.partition(b"\r\n\r\n")
    assert status.startswith(b"HTTP/1.1 422 ")
    assert json.loads(body)["code"] == "layers_invalid"
    assert "at most 1024 items" in json.loads(body)["detail"]


def test_a_chunked_body_is_refused(server):
    with server.client() as client:
        answer = client.put("/v1/teachers/a.pt", content=iter([b"weights"]))
    assert (answer.status_code, answer.json()["code"]) == (411, "length_required")


def test_events_arrive_while_the_job_runs(server):
    engine = make_engine(f"sqlite:///{server.home}/proctor.db")
    sessions = make_session_factory(engine)
    job_id = "job_" + "1" * 26
    with sessions.begin() as session:
        session.add(tables.Job(id=job_id, tenant="ours", kind=JobKind.AUDIT, timeout_s=60))
        session.flush()
        events.append(session, job_id, EventKind.STATUS, {"status": "queued"})
    accept = {"Accept": "text/event-stream"}
    with (
        server.client() as client,
        client.stream("GET", f"/v1/jobs/{job_id}/events", headers=accept) as stream,
    ):
        lines = stream.iter_lines()
        wait_until(lambda: next(lines) == "id: 1")
        with sessions.begin() as session:
            session.get_one(tables.Job, job_id).status = JobStatus.SUCCEEDED
            session.flush()
            endings.tell(session, job_id)
        assert [line for line in lines if line.startswith("event")] == ["event: status", "event: done"]
    engine.dispose()


@pytest.mark.parametrize(
    "after_s", [0.02, *(pytest.param(n / 100, marks=pytest.mark.slow) for n in range(4, 24, 2))]
)
def test_a_killed_api_leaves_at_most_one_job_per_key(server, after_s):
    request = {"kind": "audit", "teacher": "tch_" + "0" * 26, "labels": {"killed": str(after_s)}}
    headers = {"Idempotency-Key": f"killed-{after_s}"}

    def post() -> None:
        try:
            with server.client() as client:
                client.post("/v1/jobs", json=request, headers=headers)
        except httpx.TransportError:
            return

    senders = [threading.Thread(target=post) for _ in range(8)]
    for sender in senders:
        sender.start()
    killer = threading.Timer(after_s, server.kill)
    killer.start()
    for thread in (killer, *senders):
        thread.join()
    server.start()
    with server.client() as client:
        repeated = client.post("/v1/jobs", json=request, headers=headers)
    with sqlite3.connect(server.home / "proctor.db") as database:
        rows = database.execute("SELECT id, labels FROM jobs WHERE kind = 'audit'").fetchall()
    database.close()
    made = [job_id for job_id, labels in rows if json.loads(labels) == request["labels"]]
    assert made == [repeated.json()["id"]]
