"""Workers may die on a job for ever, as long as it gets further; at one place, three times."""

from __future__ import annotations

import pytest

from app.core.states import JobKind, JobStatus, Stage
from app.services import leases, stages
from app.services.leases import Lease
from tests.service_room import ServiceRoom


def claim(room: ServiceRoom, job_id: str) -> Lease:
    with room.sessions.begin() as session:
        lease = leases.claim(session, job_id, worker="host:1", lease_s=-1)
    assert lease is not None
    return lease


def keep(room: ServiceRoom, lease: Lease, stage: Stage, *shares: float) -> None:
    with room.sessions.begin() as session:
        for share in shares:
            stages.keep(session, lease, stage, share)


def die(room: ServiceRoom, *, max_attempts: int = 3) -> None:
    with room.sessions.begin() as session:
        leases.reap(session, max_attempts=max_attempts)


def test_a_job_that_gets_further_each_time_outlives_many_workers(room: ServiceRoom) -> None:
    job = room.submit(JobKind.DISTILL)
    for share in (0.1, 0.2, 0.3, 0.4, 0.5):
        keep(room, claim(room, job.id), Stage.DISTILL, share)
        die(room)
    lease = claim(room, job.id)
    with room.sessions.begin() as session:
        stages.finish(session, lease, Stage.DISTILL, {}, [])
    die(room)
    for share in (0.2, 0.4, 0.6):
        keep(room, claim(room, job.id), Stage.VERIFY, share)
        die(room)
    assert room.job(job.id).status == JobStatus.QUEUED


def test_a_job_that_dies_at_one_place_ends_though_it_kept_something_on_the_way(room: ServiceRoom) -> None:
    """On hosts without its states it comes through the same places each time."""
    job = room.submit(JobKind.DISTILL)
    for _ in range(3):
        assert room.job(job.id).status == JobStatus.QUEUED
        keep(room, claim(room, job.id), Stage.DISTILL, 0.2, 0.5, 0.4)
        die(room)
    failed = room.job(job.id)
    assert failed.status == JobStatus.FAILED
    assert failed.error is not None and "3 attempts" in failed.error["detail"]


def test_getting_further_gives_all_tries_back(room: ServiceRoom) -> None:
    job = room.submit(JobKind.DISTILL)
    for shares in ((), (), (0.5,), (), ()):
        assert room.job(job.id).status == JobStatus.QUEUED
        keep(room, claim(room, job.id), Stage.DISTILL, *shares)
        die(room)
    assert room.job(job.id).status == JobStatus.FAILED


@pytest.mark.parametrize("share", [0.5, 0.7])
def test_an_attempt_that_was_given_back_sets_the_mark_too(room: ServiceRoom, share: float) -> None:
    job = room.submit(JobKind.DISTILL)
    lease = claim(room, job.id)
    keep(room, lease, Stage.DISTILL, 0.5)
    with room.sessions.begin() as session:
        leases.release(session, lease)
    for shares in ((), (), (share,)):
        keep(room, claim(room, job.id), Stage.DISTILL, *shares)
        die(room)
    assert room.job(job.id).status == (JobStatus.FAILED if share == 0.5 else JobStatus.QUEUED)


def test_whoever_allows_one_attempt_gets_one(room: ServiceRoom) -> None:
    job = room.submit(JobKind.DISTILL)
    keep(room, claim(room, job.id), Stage.DISTILL, 0.5)
    die(room, max_attempts=1)
    assert room.job(job.id).status == JobStatus.FAILED
