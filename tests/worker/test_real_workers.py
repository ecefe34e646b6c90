"""Real Celery workers on all three brokers, with stages that compute nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from app.core.settings import Settings
from app.core.states import JobKind, JobStatus, Outcome, Stage
from app.db import migrate
from app.db.base import make_engine, make_session_factory
from app.db.tables import Artifact, Attempt, Job, StageOutput
from app.infra.blobs import make_blob_store
from app.infra.queue import CeleryDoorbell
from app.services import jobs
from app.services.job_request import JobRequest
from tests.service_room import PRINCIPAL, ServiceRoom

FAKE_WORKER = str(Path(__file__).with_name("fake_worker.py"))
PATIENCE_S = 60.0
QUICK = {
    "PROCTOR_LEASE_S": "2",
    "PROCTOR_HEARTBEAT_S": "0.3",
    "PROCTOR_UPKEEP_S": "0.5",
    "PROCTOR_RERING_S": "2",
}


class Site:
    """A whole deployment without its edge: database, broker, and the processes that tests start."""

    def __init__(self, settings: Settings, environment: dict[str, str]) -> None:
        self.room = ServiceRoom(
            settings, make_engine(settings.database_url), make_blob_store(settings.blob_url)
        )
        self.marks = settings.home / "marks"
        self._bell = CeleryDoorbell(settings)
        self._environment = environment
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        log = (self.room.settings.home / f"log-{len(self._processes)}").open("wb")
        with log:
            process = subprocess.Popen(
                [sys.executable, *command], env=self._environment, stdout=log, stderr=log
            )
        self._processes.append(process)
        return process

    def submit(self, **recipe: object) -> Job:
        teacher = self.room.make_teacher()
        factory = make_session_factory(self.room.engine, info={"doorbell": self._bell})
        with factory.begin() as session:
            recipe["marks"] = str(self.marks)
            return jobs.submit(session, PRINCIPAL, JobRequest(JobKind.CLEAN, teacher.id, recipe=recipe))

    def wait_until(self, happened: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not happened():
            if time.monotonic() > deadline:
                logs = [path.read_text()[-3000:] for path in sorted(self.room.settings.home.glob("log-*"))]
                pytest.fail("it did not happen:\n" + "\n---\n".join(logs))
            time.sleep(0.05)

    def wait_for_distillation(self, job: Job) -> int:
        """Wait until the database knows of it, and return the process that does it."""
        self.wait_until(lambda: self.room.job(job.id).stage == Stage.DISTILL)
        return int(self.marks.read_text().split()[-1])

    def wait_for_end(self, job: Job) -> Job:
        self.wait_until(lambda: self.room.job(job.id).status.terminal)
        return self.room.job(job.id)

    def close(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        self.room.engine.dispose()


@pytest.fixture(params=["sqlite+filesystem", "postgresql+redis", "postgresql+rabbitmq"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    environment = {**os.environ, **QUICK, "PROCTOR_HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    urls = {}
    database, broker = request.param.split("+")
    if database == "postgresql":
        urls["database_url"] = request.getfixturevalue("postgresql_url")
        urls["broker_url"] = request.getfixturevalue(f"{broker}_url")
        environment |= {"DATABASE_URL": urls["database_url"], "BROKER_URL": urls["broker_url"]}
    settings = Settings(home=tmp_path, **urls)
    migrate.upgrade(settings.database_url)
    made = Site(settings, environment)
    yield made
    made.close()


def is_running(pid: int) -> bool:
    """Whether a process does anything; a zombie that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_job_whose_worker_is_killed_is_finished_by_another(site: Site) -> None:
    """kill -9 in mid-job: the second attempt finishes; one set of artifacts; finished stages are kept."""
    worker = site.start(FAKE_WORKER, "cpu", "first")
    job = site.submit(steps=1000, step_s=0.05, slow_once=True)
    child = site.wait_for_distillation(job)
    worker.kill()
    site.wait_until(lambda: not is_running(child))
    site.start(FAKE_WORKER, "cpu,upkeep", "second")
    site.start("-m", "worker", "beat")
    done = site.wait_for_end(job)
    assert (done.status, done.attempt) == (JobStatus.SUCCEEDED, 2)
    stages = [line.split()[0] for line in site.marks.read_text().splitlines()]
    assert stages == ["probe", "distill", "distill", "verify", "report"]
    with site.room.readers() as session:
        names = sorted(session.scalars(select(Artifact.name)))
        outcomes = list(session.scalars(select(Attempt.outcome).order_by(Attempt.number)))
    assert names == ["audit.json", "report.html", "student.safetensors"]
    assert outcomes == [Outcome.LEASE_EXPIRED, Outcome.SUCCEEDED]


def test_a_worker_that_is_told_to_stop_gives_its_job_back(site: Site) -> None:
    worker = site.start(FAKE_WORKER, "cpu", "first")
    job = site.submit(steps=10_000, step_s=0.05)
    child = site.wait_for_distillation(job)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0
    assert not is_running(child)
    back = site.room.job(job.id)
    assert (back.status, back.attempt) == (JobStatus.QUEUED, 0)
    with site.room.readers() as session:
        assert [output.stage for output in session.scalars(select(StageOutput))] == ["probe"]


@pytest.mark.parametrize("site", ["sqlite+filesystem"], indirect=True)
def test_a_worker_that_wakes_up_after_its_lease_touches_nothing(site: Site) -> None:
    """SIGSTOP for longer than the lease, then SIGCONT when another worker has finished the job."""
    asleep = site.start(FAKE_WORKER, "cpu", "first")
    job = site.submit(steps=1000, step_s=0.05, slow_once=True)
    site.wait_for_distillation(job)
    asleep.send_signal(signal.SIGSTOP)
    site.start(FAKE_WORKER, "cpu,upkeep", "second")
    site.start("-m", "worker", "beat")
    done = site.wait_for_end(job)
    asleep.send_signal(signal.SIGCONT)
    asleep.send_signal(signal.SIGTERM)
    assert asleep.wait(30) == 0
    assert site.room.job(job.id).finished_at == done.finished_at
    with site.room.readers() as session:
        assert len(list(session.scalars(select(Artifact)))) == 3
        outcomes = list(session.scalars(select(Attempt.outcome).order_by(Attempt.number)))
    assert outcomes == [Outcome.LEASE_EXPIRED, Outcome.SUCCEEDED]
    assert not (site.room.settings.scratch_folder / job.id).exists()
