"""A job's process that was taken over, under its real supervisor: how it ends, and that the next job runs."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from app.core.states import JobKind, JobStatus
from app.services import artifacts
from models.sandbox.level import sandbox_level
from tests.service_room import PRINCIPAL, ServiceRoom
from worker.sandbox import appetite, protocol
from worker.sandbox.appetite import Appetite, count_threads, measure
from worker.supervisor import run_job
from worker.worker_context import WorkerContext

CHILD = (sys.executable, "-I", str(Path(__file__).with_name("hostile_child.py")))
MIB = 1 << 20
#: Only the attack on the processor runs into it; the others must find their own limit on a slow machine too.
PATIENT_S, SHORT_S = 60.0, 5.0
NEEDED = {"read_outside": "landlock", "fork_bomb": "seccomp"}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def context(room: ServiceRoom, monkeypatch: pytest.MonkeyPatch) -> WorkerContext:
    monkeypatch.setattr(protocol, "MAX_SAID_BYTES", 16 * MIB)
    monkeypatch.setattr(appetite, "LOOK_S", 0.2)
    monkeypatch.setattr(appetite, "MAX_THREADS", 64)
    limits = {"max_job_memory_bytes": 256 * MIB, "max_scratch_bytes": 16 * MIB}
    settings = room.settings.model_copy(update=limits)
    return WorkerContext(settings, room.sessions, room.readers, room.blobs, CHILD, threads=1)


@pytest.mark.parametrize(
    ("attack", "code"),
    [
        ("memory", "out_of_memory"),
        ("processor", "time_limit"),
        ("one_file", "disk_limit"),
        ("many_files", "disk_limit"),
        ("output", "output_limit"),
        ("beginnings", "child_protocol"),
        ("nonsense", "output_invalid"),
        ("endless_line", "child_protocol"),
        ("descriptors", "file_limit"),
        ("threads", "thread_limit"),
        ("read_outside", "sandbox_violation"),
        ("fork_bomb", "sandbox_violation"),
    ],
)
def test_it_ends_with_its_own_code_and_the_next_job_succeeds(
    attack: str, code: str, room: ServiceRoom, context: WorkerContext
) -> None:
    if NEEDED.get(attack) in sandbox_level().missing:
        pytest.skip(f"this machine has no {NEEDED[attack]}: see `proctor doctor`")
    limit_s = SHORT_S if code == "time_limit" else PATIENT_S
    job = room.submit(JobKind.AUDIT, timeout_s=limit_s, attack=attack)
    began = time.monotonic()
    run_job(context, job.id)
    assert time.monotonic() - began < limit_s + 5
    failed = room.job(job.id)
    assert failed.status == JobStatus.FAILED
    assert failed.error is not None and failed.error["code"] == code, failed.error
    following = room.submit(JobKind.AUDIT, attack="")
    run_job(context, following.id)
    assert room.job(following.id).status == JobStatus.SUCCEEDED, room.job(following.id).error
    with room.readers() as session:
        said = artifacts.named(session, PRINCIPAL.tenant, following.id, "audit.json")
    assert said is not None and room.read(said.sha256).decode() == str(sandbox_level())
    assert list(context.settings.scratch_folder.iterdir()) == []


def test_where_the_sandbox_is_required_and_missing_no_stage_runs(
    room: ServiceRoom, context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = context.settings.model_copy(update={"sandbox": "required"})
    script = CHILD[-1].replace("hostile_child", "unconfined_child")
    strict = WorkerContext(settings, room.sessions, room.readers, room.blobs, (*CHILD[:2], script), threads=1)
    job = room.submit(JobKind.AUDIT, attack="")
    run_job(strict, job.id)
    error = room.job(job.id).error
    assert error is not None and error["code"] == "sandbox_unavailable"
    assert "PROCTOR_SANDBOX=degraded" in error["hint"]


def test_files_are_added_up_without_following_links(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_bytes(bytes(8192))
    (tmp_path / "link").symlink_to("/usr")
    size_bytes, entries = measure(tmp_path)
    assert entries == 3
    assert 8192 <= size_bytes < MIB


def test_too_many_files_are_not_counted_to_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(appetite, "MAX_ENTRIES", 5)
    monkeypatch.setattr(appetite, "LOOK_S", 0.0)
    for number in range(10):
        (tmp_path / str(number)).touch()
    ending = Appetite(1, tmp_path, 2**30).excess()
    assert ending is not None and ending.error is not None and ending.error["code"] == "disk_limit"


def test_a_process_that_is_gone_has_no_threads() -> None:
    assert count_threads(2**22 + 1) == 0
