"""Scratch folders: one per hold on a job, so that a worker which lost it writes nowhere that counts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import select

from app.core.states import JobStatus
from app.db.tables import Job
from app.infra.blobs import BlobStore, GoOn, to_the_end
from app.services.leases import Lease
from worker.child_job import DESCRIPTION, INPUTS, OUTPUTS, RESUME
from worker.worker_context import WorkerContext


def prepare(
    root: Path,
    lease: Lease,
    description: Mapping[str, Any],
    inputs: Mapping[str, str],
    blobs: BlobStore,
    *,
    go_on: GoOn = to_the_end,
) -> Path:
    """Make the folder of one attempt.

    Args:
        root: Where all scratch folders are.
        lease: The hold on the job.
        description: Becomes ``job.json``.
        inputs: SHA-256 of each blob that is copied in, by path in the folder.
        blobs: Where they come from.
        go_on: Called before each chunk of them; what it raises ends it.

    Returns:
        The folder. States that an earlier attempt on this host left to resume from are copied into it. Where
        this fails, nothing new is left.
    """
    folder = root / lease.job_id / lease.token
    try:
        _fill(folder, description, inputs, blobs, go_on)
    except Exception:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


def delete_earlier(folder: Path) -> None:
    """Delete the folders of the job's other attempts, for one who has just renewed its lease.

    Without that the other could be the later one: a worker may stand still while it prepares.
    """
    for earlier in folder.parent.iterdir():
        if earlier != folder:
            shutil.rmtree(earlier, ignore_errors=True)


def _fill(
    folder: Path, description: Mapping[str, Any], inputs: Mapping[str, str], blobs: BlobStore, go_on: GoOn
) -> None:
    for name in (INPUTS, OUTPUTS):
        (folder / name).mkdir(mode=0o700, parents=True)
    for name, sha256 in inputs.items():
        (folder / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        blobs.fetch(sha256, folder / name, go_on=go_on)
    (folder / DESCRIPTION).write_text(json.dumps(description), "utf-8")
    earlier = [path for path in folder.parent.glob(f"*/{RESUME}") if any(path.iterdir())]
    if earlier:
        # Renamed when it is whole: half a copy would be the newest that the next attempt finds.
        part = folder / f"{RESUME}.part"
        shutil.copytree(max(earlier, key=lambda path: path.stat().st_mtime), part)
        part.rename(folder / RESUME)


def delete(root: Path, job_id: str) -> None:
    """Delete all folders of a job."""
    shutil.rmtree(root / job_id, ignore_errors=True)


def delete_ended(context: WorkerContext) -> None:
    """Delete the scratch folders of jobs that are over, or that nobody knows.

    Folders are listed before it is asked which jobs live: the other way round, a job that was submitted and
    begun in between would lose its folder.
    """
    root = context.settings.scratch_folder
    found = [folder.name for folder in root.iterdir()] if root.exists() else []
    with context.readers() as session:
        live = set(
            session.scalars(select(Job.id).where(Job.status.in_((JobStatus.QUEUED, JobStatus.RUNNING))))
        )
    for job_id in found:
        if job_id not in live:
            delete(root, job_id)
