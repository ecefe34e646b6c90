"""The service without HTTP: the same use cases, database, queue and workers, driven from this process.

``proctor run`` needs no port, no key and no second code path for jobs: it opens a home, starts the workers
that ``proctor serve`` would start, and calls the services that the API would call. Jobs still run in the
workers' child processes, so a crash in one, or a file made to cause one, does not reach this process.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from app.api import wire
from app.api.problem_types import PROBLEM_TYPES, problem_type
from app.client.api import Document
from app.client.errors import ProblemError
from app.client.events import Event
from app.client.transfer import OnBytes, ignore_bytes, read_chunks
from app.core.errors import ServiceError
from app.core.settings import Settings
from app.core.states import DatasetRole, Device, JobKind, Scope, UploadStatus
from app.db import tables
from app.db.base import make_engine, make_session_factory
from app.infra.blobs import StoredBlob, make_blob_store
from app.infra.queue import CeleryDoorbell
from app.preparation import TENANT
from app.processes import tail
from app.schemas.jobs import RECIPE, JobRequest
from app.schemas.teachers import TeacherQuery
from app.services import artifacts, datasets, events, jobs, teachers
from app.services.job_request import JobRequest as ServiceRequest
from app.services.principal import Principal
from app.services.recipe_check import check_recipe
from models.errors import ProctorError

UploadRow = TypeVar("UploadRow", tables.Teacher, tables.Dataset)

POLL_S = 0.2
#: The owner of the home needs no key to use it.
OWNER = Principal(TENANT, frozenset({Scope.ADMIN}), "key_owner")


class LocalService:
    """Does what ``ProctorClient`` does, on a home of this machine."""

    def __init__(self, settings: Settings, engine: Engine, tick: Callable[[], None]) -> None:
        """Open a prepared home.

        Args:
            settings: Of the home.
            engine: Of its database; the caller disposes of it.
            tick: Called a few times a second while waiting; keeps the workers alive.
        """
        self._settings = settings
        self._blobs = make_blob_store(settings.blob_url)
        doorbell = CeleryDoorbell(settings)
        self._writing = make_session_factory(engine, info={"doorbell": doorbell})
        self._reading = make_session_factory(engine, read_only=True)
        self._tick = tick

    @property
    def home(self) -> Path:
        """The folder that uploads, jobs and their files lie in."""
        return self._settings.home

    def upload_teacher(
        self, path: Path, options: Mapping[str, str], on_bytes: OnBytes = ignore_bytes
    ) -> Document:
        """Store a checkpoint and wait until it is inspected.

        Raises:
            ProblemError: If it is refused.
        """
        with _problems():
            declared = TeacherQuery.model_validate(options).declared()
            stored = self._store(path, on_bytes)
            with self._writing.begin() as session:
                row, _ = teachers.receive(session, OWNER, stored, filename=path.name, declared=declared)
            row = self._until_inspected(lambda session: teachers.get(session, TENANT, row.id))
            return wire.teacher(row).model_dump(mode="json")

    def upload_dataset(self, path: Path, role: str, on_bytes: OnBytes = ignore_bytes) -> Document:
        """Store images and wait until they are inspected.

        Raises:
            ProblemError: If they are refused.
        """
        with _problems():
            stored = self._store(path, on_bytes)
            with self._writing.begin() as session:
                row, _ = datasets.receive(session, OWNER, stored, filename=path.name, role=DatasetRole(role))
            row = self._until_inspected(lambda session: datasets.get(session, TENANT, row.id))
            return wire.dataset(row).model_dump(mode="json")

    def teacher(self, teacher_id: str) -> Document:
        """Get an uploaded teacher."""
        with _problems(), self._reading() as session:
            return wire.teacher(teachers.get(session, TENANT, teacher_id)).model_dump(mode="json")

    def dataset(self, dataset_id: str) -> Document:
        """Get an uploaded dataset."""
        with _problems(), self._reading() as session:
            return wire.dataset(datasets.get(session, TENANT, dataset_id)).model_dump(mode="json")

    def submit(self, request: Mapping[str, Any]) -> Document:
        """Queue a job.

        Raises:
            ProblemError: If the request is not valid.
        """
        with _problems():
            wanted = service_request(JobRequest.model_validate(request), self._settings)
            with self._writing.begin() as session:
                return _document(jobs.submit(session, OWNER, wanted))

    def job(self, job_id: str) -> Document:
        """Get a job as it is now."""
        with _problems(), self._reading() as session:
            return _document(jobs.get(session, TENANT, job_id))

    def cancel(self, job_id: str) -> Document:
        """Ask a job to stop."""
        with _problems(), self._writing.begin() as session:
            return _document(jobs.cancel(session, TENANT, job_id))

    def events(self, job_id: str) -> Iterator[Event]:
        """Yield a job's events until it is over."""
        after = 0
        while True:
            with self._reading() as session:
                over = jobs.status_of(session, TENANT, job_id).terminal
                rows = events.page(session, job_id, after)
            for row in rows:
                after = row.seq
                yield Event(row.seq, row.kind.value, row.data)
            if over and not rows:
                return
            self._wait()

    def ended_within(self, job_id: str, seconds: float) -> bool:
        """Wait for a job to be over, and no longer than that; return whether it is."""
        deadline = time.monotonic() + seconds
        while True:
            with self._reading() as session:
                over = jobs.status_of(session, TENANT, job_id).terminal
            if over or time.monotonic() > deadline:
                return over
            self._wait()

    def artifacts(self, job_id: str) -> list[Document]:
        """List a job's files."""
        with self._reading() as session:
            rows = artifacts.page(session, TENANT, job_id)
            return [wire.artifact(row).model_dump(mode="json") for row in rows]

    def download(
        self, artifact: Mapping[str, Any], destination: Path, on_bytes: OnBytes = ignore_bytes
    ) -> Path:
        """Copy one file out of the home; what lies at the destination stays until the copy is complete."""
        part = destination.with_name(f".{destination.name}.part")
        try:
            with self._blobs.open(str(artifact["sha256"])) as source, part.open("wb") as target:
                shutil.copyfileobj(source, target)
            part.replace(destination)
        finally:
            part.unlink(missing_ok=True)
        on_bytes(int(artifact["size_bytes"]))
        return destination

    def log_tail(self) -> str:
        """Read the end of the log of the worker that runs jobs; the home may be gone when the user looks."""
        return tail(self._settings.home / "logs" / "compute-worker.log")

    def _store(self, path: Path, on_bytes: OnBytes) -> StoredBlob:
        writer = self._blobs.open_for_write(limit_bytes=self._settings.max_upload_bytes)
        try:
            for chunk in read_chunks(path, on_bytes):
                writer.write(chunk)
            return writer.finish()
        finally:
            writer.discard()

    def _until_inspected(self, get: Callable[[Session], UploadRow]) -> UploadRow:
        while True:
            with self._reading() as session:
                row = get(session)
            if row.status is UploadStatus.READY:
                return row
            if row.status is UploadStatus.REJECTED:
                error = dict(row.error or {})
                raise ProblemError(problem_type(str(error.get("code"))).status, error)
            self._wait()

    def _wait(self) -> None:
        self._tick()
        time.sleep(POLL_S)


def service_request(asked: JobRequest, settings: Settings) -> ServiceRequest:
    """Turn a checked request into what the service takes, refusing now what the worker would refuse later.

    Raises:
        RecipeError: If the recipe contradicts itself or the data at hand.
    """
    labelled, unlabelled = asked.data.labelled is not None, asked.data.unlabelled is not None
    kind, triggers = JobKind(asked.kind), len(asked.triggers)
    check_recipe(kind, asked.recipe, labelled=labelled, unlabelled=unlabelled, triggers=triggers)
    return ServiceRequest(
        kind=kind,
        teacher_id=asked.teacher,
        labelled_id=asked.data.labelled,
        unlabelled_id=asked.data.unlabelled,
        surrogate_id=asked.data.surrogate,
        triggers=[trigger.model_dump(exclude_none=True) for trigger in asked.triggers],
        recipe=RECIPE.dump_python(asked.recipe, mode="json"),
        device=Device(asked.device),
        timeout_s=asked.timeout_s or settings.job_timeout_s,
        labels=asked.labels,
    )


def _document(row: tables.Job) -> Document:
    return wire.job(row).model_dump(mode="json")


@contextmanager
def _problems() -> Iterator[None]:
    """Turn what the service raises into what the client would have raised over HTTP."""
    try:
        yield
    except (ServiceError, ProctorError) as error:
        errors = [asdict(fault) for fault in error.errors] if isinstance(error, ServiceError) else []
        document = {"code": error.code, "detail": error.detail, "hint": error.hint, "errors": errors}
        raise ProblemError(problem_type(error.code).status, document) from error
    except ValidationError as error:
        raised = error.errors(include_url=False, include_input=False)
        errors = [
            {"pointer": "".join(f"/{part}" for part in entry["loc"]), "detail": str(entry["msg"])}
            for entry in raised
        ]
        detail = f"{errors[0]['pointer']}: {errors[0]['detail']}"
        hint = PROBLEM_TYPES["invalid_request"].hint
        document = {"code": "invalid_request", "detail": detail, "hint": hint, "errors": errors}
        raise ProblemError(422, document) from error


@contextmanager
def open_engine(settings: Settings) -> Iterator[Engine]:
    """Connect to the home's database for a while."""
    engine = make_engine(settings.database_url)
    try:
        yield engine
    finally:
        engine.dispose()
