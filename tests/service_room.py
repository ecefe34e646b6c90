"""A service without its edge and its workers: database, blobs, one principal, and a bell that only counts."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from app.core.settings import Settings
from app.core.states import DatasetRole, JobKind, Scope, UploadStatus
from app.db import migrate
from app.db.base import Base, make_engine, make_session_factory
from app.db.tables import Dataset, Job, Teacher
from app.infra.blobs import BlobStore, StoredBlob, make_blob_store
from app.services import datasets, jobs, teachers
from app.services.job_request import JobRequest
from app.services.principal import Principal

PRINCIPAL = Principal("tenant", frozenset({Scope.ADMIN}), "key_test")


@dataclass
class ServiceRoom:
    settings: Settings
    engine: Engine
    blobs: BlobStore
    rung: list[tuple[str, str]] = field(default_factory=list)

    @property
    def sessions(self) -> sessionmaker[Session]:
        bell = {"doorbell": lambda job_id, queue: self.rung.append((job_id, queue))}
        return make_session_factory(self.engine, info=bell)

    @property
    def readers(self) -> sessionmaker[Session]:
        return make_session_factory(self.engine, read_only=True)

    def store(self, content: bytes) -> StoredBlob:
        writer = self.blobs.open_for_write(limit_bytes=len(content))
        writer.write(content)
        return writer.finish()

    def read(self, sha256: str) -> bytes:
        with self.blobs.open(sha256) as file:
            return file.read()

    def make_teacher(self, content: bytes = b"weights") -> Teacher:
        """Make a teacher whose inspection is over."""
        with self.sessions.begin() as session:
            teacher, new = teachers.receive(
                session, PRINCIPAL, self.store(content), filename="teacher.pt", declared={}
            )
            if not new:
                return teacher
            inspection = session.get_one(Job, teacher.job_id)
            teacher.job_id = None
            session.delete(inspection)
            teacher.status = UploadStatus.READY
            teacher.num_classes = 10
            teacher.inspection = {"architecture": {"name": "wrn-16-2", "num_classes": 10}}
            teacher.canonical_sha256 = self.store(b"canonical " + content).sha256
        self.rung.clear()
        return teacher

    def make_dataset(self, role: DatasetRole) -> Dataset:
        """Make a set of images whose inspection is over."""
        with self.sessions.begin() as session:
            dataset, _ = datasets.receive(session, PRINCIPAL, self.store(b"zip"), filename="x.zip", role=role)
            dataset.status = UploadStatus.READY
            return dataset

    def ask(self, request: JobRequest) -> Job:
        with self.sessions.begin() as session:
            return jobs.submit(session, PRINCIPAL, request)

    def submit(
        self, kind: JobKind = JobKind.CLEAN, *, timeout_s: float | None = None, **recipe: object
    ) -> Job:
        teacher = self.make_teacher()
        return self.ask(JobRequest(kind, teacher.id, recipe=recipe, timeout_s=timeout_s))

    def job(self, job_id: str) -> Job:
        with self.readers() as session:
            return session.get_one(Job, job_id)


@pytest.fixture(scope="session")
def shared_postgresql_url(postgresql_server: str) -> Iterator[str]:
    """Give the URL of one database with all tables; tests empty it, since making one takes half a second."""
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(f"{postgresql_server}/postgres", autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}".encode())
        migrate.upgrade(f"{postgresql_server}/{name}")
        yield f"{postgresql_server}/{name}"
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of a database of each kind, with all tables and no rows."""
    if request.param == "postgresql":
        url = str(request.getfixturevalue("shared_postgresql_url"))
        with psycopg.connect(url, autocommit=True) as connection:
            names = ", ".join(table.name for table in Base.metadata.sorted_tables)
            connection.execute(f"TRUNCATE {names} RESTART IDENTITY".encode())
        return url
    return str(request.getfixturevalue("sqlite_url"))


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "proctor.db"
    engine = make_engine(f"sqlite:///{path}")
    Base.metadata.create_all(engine)
    engine.dispose()
    return path


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """Give the URL of a database with all tables; copying one takes a tenth of making it."""
    shutil.copy(sqlite_template, tmp_path / "proctor.db")
    return f"sqlite:///{tmp_path}/proctor.db"


@pytest.fixture
def room(database_url: str, tmp_path: Path) -> Iterator[ServiceRoom]:
    settings = Settings(home=tmp_path, database_url=database_url)
    engine = make_engine(database_url)
    yield ServiceRoom(settings, engine, make_blob_store(settings.blob_url))
    engine.dispose()
