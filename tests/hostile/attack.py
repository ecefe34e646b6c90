"""Attack a running service: the catalogue, the fuzzer's files and broken HTTP, over its own port.

    python -m tests.hostile.attack --seconds 600 --seed 3

Starts ``proctor serve`` on a new home, throws everything at it, and looks afterwards: every answer is a
``problem+json`` of the expected code, no process died, no log holds a traceback, nothing but the honest files
is left on disk, and an honest file is still read. Prints a summary; the status is 0 only if all that holds.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from tests.e2e.running_service import Running, is_alive, start
from tests.hostile import CLASSES, HostileClass
from tests.hostile.catalog import Kind
from tests.hostile.craft import good_zip
from tests.hostile.fuzz import make_case
from tests.hostile.pickles import MARKER
from tests.hostile.requests import REQUESTS, answers

SIMULTANEOUS = 4
#: What a file may do to the service when it is no valid teacher, no valid set and not too large.
REFUSALS = frozenset({400, 409, 413, 415, 422})
ACCEPTANCES = frozenset({200, 201, 202})
SEEDS = range(3)


@dataclass
class Report:
    """What happened."""

    answers: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    faults: list[str] = field(default_factory=list)


class Attacker:
    """One client of one service, with everything it noted."""

    def __init__(self, service: Running) -> None:
        """Remember how the service looks before the attack."""
        self._service = service
        self._client = httpx.Client(
            base_url=service.url, headers={"Authorization": f"Bearer {service.key}"}, timeout=120
        )
        self.report = Report()
        self._files_before = self._files()

    def catalogue(self) -> None:
        """Upload every hostile class with some seeds, several at a time."""
        with ThreadPoolExecutor(SIMULTANEOUS) as pool:
            list(pool.map(lambda pair: self._refused(*pair), itertools.product(CLASSES.values(), SEEDS)))

    def _refused(self, hostile: HostileClass, seed: int) -> None:
        answer = self._upload(hostile.kind, f"{hostile.name}-{seed}", hostile.seeded(seed))
        if answer.get("code") != hostile.code:
            self.report.faults.append(f"{hostile.name} seed {seed}: {hostile.code} expected, got {answer}")

    def fuzz(self, seed: int, seconds: float) -> None:
        """Upload the fuzzer's files, and delete those that are accepted."""
        deadline = time.monotonic() + seconds
        numbers = itertools.takewhile(lambda _: time.monotonic() < deadline, itertools.count())
        with ThreadPoolExecutor(SIMULTANEOUS) as pool:
            for some in iter(lambda: list(itertools.islice(numbers, 40)), []):
                list(pool.map(lambda number: self._fuzzed(seed, number), some))

    def _fuzzed(self, seed: int, number: int) -> None:
        kind, content = make_case(number, seed)
        self._upload(kind, f"case-{number}", content)

    def requests(self) -> None:
        """Send requests that no HTTP client would, each over a connection of its own."""
        parts = urlsplit(self._service.url)
        assert parts.hostname is not None and parts.port is not None
        for name, request in REQUESTS.items():
            statuses = answers((parts.hostname, parts.port), request, self._service.key)
            self.report.answers[f"request {name}: {statuses}"] += 1
            if not statuses <= request.statuses:
                self.report.faults.append(
                    f"{name}: one of {sorted(request.statuses)} expected, got {statuses}"
                )

    def _upload(self, kind: Kind, name: str, content: bytes) -> dict[str, object]:
        """Send one file; note the answer; leave nothing that was accepted."""
        began = time.monotonic()
        path = f"/v1/teachers/{name}" if kind == "checkpoint" else f"/v1/datasets/{name}?role=clean_labelled"
        response = self._client.put(path, content=content)
        while response.status_code == 503:  # its twin is just being refused to another of our threads
            time.sleep(0.2)
            response = self._client.put(path, content=content)
        self.report.slowest_s = max(self.report.slowest_s, time.monotonic() - began)
        body = response.json()
        if response.status_code in ACCEPTANCES:
            self._client.delete(response.headers["Location"]).raise_for_status()
        elif (
            response.status_code not in REFUSALS
            or response.headers["Content-Type"] != "application/problem+json"
        ):
            self.report.faults.append(f"{name}: {response.status_code} {response.text[:300]}")
        self.report.answers[str(body.get("code", "accepted"))] += 1
        return dict(body)

    def look(self) -> None:
        """Compare the service with what it was before."""
        for name, pid in self._service.pids.items():
            if not is_alive(pid):
                self.report.faults.append(f"{name} died")
        for path in ("/livez", "/readyz"):
            if self._client.get(path).status_code != 200:
                self.report.faults.append(f"{path} does not answer 200")
        logs = "".join(path.read_text() for path in (self._service.home / "logs").iterdir())
        if "Traceback" in logs:
            self.report.faults.append(f"a traceback: {logs[logs.index('Traceback') :][:2000]}")
        if left := self._files() - self._files_before:
            self.report.faults.append(f"left behind: {sorted(left)[:10]}")
        if Path(MARKER).exists():
            self.report.faults.append("a payload ran")
        # Whatever was thrown at it, the next user is served.
        honest = self._upload("checkpoint", "honest", good_zip(random.Random(0)))
        if honest.get("code") != "architecture_unknown":
            self.report.faults.append(f"an honest file is answered {honest}")

    def _files(self) -> set[str]:
        """Everything on disk but what the service itself writes all the time."""
        home = self._service.home
        kept = {path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()}
        return {path for path in kept if path.startswith(("blobs/", "scratch/", "uploads/", "work/"))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="for the fuzzer's part")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    service = start(folder / "home")
    try:
        attacker = Attacker(service)
        attacker.catalogue()
        attacker.requests()
        attacker.fuzz(arguments.seed, arguments.seconds)
        attacker.look()
    finally:
        service.process.terminate()
        service.process.wait(60)
        shutil.rmtree(folder, ignore_errors=True)
    report = attacker.report
    document = {
        "uploads_and_requests": report.answers.total(),
        "answers": dict(report.answers.most_common()),
        "slowest_s": round(report.slowest_s, 2),
        "faults": report.faults,
    }
    print(json.dumps(document, indent=2))
    sys.exit(bool(report.faults))


if __name__ == "__main__":
    main()
