"""Measure how much a large upload makes the API's process grow.

A real uvicorn serves ``app.main`` on a fresh home; a client sends zeros. Growth is the high-water mark of
resident memory (VmHWM) after the upload less the one before it, so a peak in between counts as well.

    python benchmarks/upload_memory.py --size-mib 200 --parallel 1
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from app.core.states import Scope
from app.db.base import make_engine, make_session_factory
from app.db.migrate import upgrade
from app.services import keys

MIB = 1024 * 1024
LIMIT_MIB = 32


def prepare(home: Path) -> str:
    """Migrate a fresh database and return a key."""
    url = f"sqlite:///{home}/proctor.db"
    upgrade(url)
    engine = make_engine(url)
    with make_session_factory(engine).begin() as session:
        secret = keys.create(session, "benchmark", "benchmark", [Scope.SUBMIT])[1]
    engine.dispose()
    return secret


def start(home: Path, port: int, size_mib: int) -> subprocess.Popen[bytes]:
    """Start the API; inspections are not waited for, because no worker runs."""
    environment = {
        **os.environ,
        "PROCTOR_HOME": str(home),
        "PROCTOR_INSPECT_WAIT_S": "0",
        "PROCTOR_MAX_UPLOAD_BYTES": str((size_mib + 1) * MIB),
    }
    command = [sys.executable, "-m", "uvicorn", "--factory", "app.main:create_app", "--log-level=warning"]
    return subprocess.Popen([*command, f"--port={port}"], env=environment)


def wait_for(url: str) -> float:
    """Wait until the API is alive; return the seconds that took."""
    started = time.perf_counter()
    while time.perf_counter() - started < 60:
        try:
            httpx.get(f"{url}/livez").raise_for_status()
        except httpx.TransportError:
            time.sleep(0.02)
        else:
            return time.perf_counter() - started
    raise TimeoutError(url)


def high_water_mib(pid: int) -> float:
    """Read the most resident memory the process ever had."""
    return int(Path(f"/proc/{pid}/status").read_text().split("VmHWM:")[1].split()[0]) / 1024


def upload(url: str, key: str, size_mib: int, number: int) -> None:
    """Send one file of ``size_mib`` MiB; each number is another file."""

    def chunks() -> Iterator[bytes]:
        yield number.to_bytes(8, "big") + bytes(MIB - 8)
        for _ in range(size_mib - 1):
            yield bytes(MIB)

    headers = {"Authorization": f"Bearer {key}", "Content-Length": str(size_mib * MIB)}
    answer = httpx.put(f"{url}/v1/teachers/large.pt", content=chunks(), headers=headers, timeout=600)
    answer.raise_for_status()


def main() -> int:
    """Print one JSON line; fail when the growth is over the limit."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size-mib", type=int, default=200)
    parser.add_argument("--parallel", type=int, default=1)
    options = parser.parse_args()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        key = prepare(Path(folder))
        server = start(Path(folder), port, options.size_mib)
        try:
            url = f"http://127.0.0.1:{port}"
            start_s = wait_for(url)
            upload(url, key, 1, 0)  # what the first request of all costs is not the upload's
            before = high_water_mib(server.pid)
            began = time.perf_counter()
            numbers = range(1, options.parallel + 1)
            senders = [
                threading.Thread(target=upload, args=(url, key, options.size_mib, number))
                for number in numbers
            ]
            for sender in senders:
                sender.start()
            for sender in senders:
                sender.join()
            seconds = time.perf_counter() - began
            growth = high_water_mib(server.pid) - before
        finally:
            server.terminate()
            server.wait()
    measured = {
        "size_mib": options.size_mib,
        "parallel": options.parallel,
        "growth_mib": round(growth, 1),
        "resident_before_mib": round(before, 1),
        "mib_per_s": round(options.size_mib * options.parallel / seconds, 1),
        "start_s": round(start_s, 2),
    }
    print(json.dumps(measured))
    return 0 if growth <= LIMIT_MIB else 1


if __name__ == "__main__":
    sys.exit(main())
