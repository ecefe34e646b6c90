"""An API on a fresh database, without workers: a stand-in inspector answers for them."""

from __future__ import annotations

import asyncio
import dataclasses
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy.orm import Session

from app.api.deps import Edge
from app.core.ids import new_id
from app.core.settings import Settings
from app.core.states import EventKind, JobStatus, Scope, Stage, UploadStatus
from app.db import tables
from app.db.base import make_session_factory
from app.db.migrate import upgrade
from app.main import create_app
from app.services import blob_references, endings, events, keys

INSPECTED_TEACHER = {
    "format": "safetensors",
    "architecture": {"name": "wrn-10-2", "num_classes": 10, "input_size": 16},
    "architecture_source": "inferred",
    "normalization": {"mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0]},
    "normalization_source": "assumed",
    "parameters": 303_706,
    "buffers": 12,
    "macs": 3_000_000,
    "dtypes": {"float32": 40},
    "size_bytes": 7,
    "sha256": "0" * 64,
    "canonical_sha256": "1" * 64,
    "state_dict_key": None,
    "stripped_prefix": None,
}
INSPECTED_DATASET = {
    "images": 2,
    "classes": ["a", "b"],
    "class_counts": [1, 1],
    "sizes": {"16x16": 2},
    "size_bytes": 7,
    "sha256": "0" * 64,
    "canonical_sha256": "1" * 64,
}


class Inspector:
    """Stands in for queue and worker: decides about an upload as soon as its transaction has committed."""

    def __init__(self) -> None:
        self.rang: list[str] = []
        self.refusal: dict[str, str] | None = None
        self.idle = False
        self.sessions: Callable[[], Any] | None = None

    def __call__(self, job_id: str, queue: str) -> None:
        self.rang.append(job_id)
        if queue != "inspect" or self.idle:
            return
        assert self.sessions is not None
        with self.sessions() as session, session.begin():
            job = session.get_one(tables.Job, job_id)
            job.status = JobStatus.SUCCEEDED if self.refusal is None else JobStatus.FAILED
            job.error = self.refusal
            self._accept(session, job)
            session.flush()
            endings.tell(session, job_id)

    def _accept(self, session: Session, job: tables.Job) -> None:
        if self.refusal is not None:
            return
        if job.teacher_id is not None:
            teacher = session.get_one(tables.Teacher, job.teacher_id)
            teacher.status, teacher.inspection = UploadStatus.READY, dict(INSPECTED_TEACHER)
            teacher.num_classes = 10
        else:
            dataset = session.get_one(tables.Dataset, job.dataset_id)
            dataset.status = UploadStatus.READY
            dataset.inspection = {**INSPECTED_DATASET, "role": dataset.role.value}


@dataclasses.dataclass
class Api:
    """A synchronous client of an application in this process, and a way behind its back."""

    runner: asyncio.Runner
    http: httpx.AsyncClient
    edge: Edge
    inspector: Inspector
    secret: str

    def __call__(self, method: str, url: str, *, key: str | None = "", **arguments: Any) -> httpx.Response:
        headers = dict(arguments.pop("headers", {}))
        if key is not None:
            headers.setdefault("Authorization", f"Bearer {key or self.secret}")
        return self.runner.run(self.http.request(method, url, headers=headers, **arguments))

    def make_key(self, *scopes: Scope, tenant: str = "ours", ttl_s: float | None = None) -> str:
        with self.edge.sessions.begin() as session:
            return keys.create(session, tenant, "test", scopes, ttl_s)[1]

    def revoke(self, secret: str) -> None:
        with self.edge.sessions.begin() as session:
            holder = keys.authenticate(session, secret)
            assert holder is not None
            keys.revoke(session, holder.tenant, holder.key_id)

    def teacher(self, content: bytes = b"weights", key: str = "") -> str:
        answer = self("PUT", "/v1/teachers/teacher.pt", content=content, key=key)
        assert answer.status_code in {200, 201}, answer.text
        return str(answer.json()["id"])

    def dataset(self, role: str, content: bytes = b"images") -> str:
        answer = self("PUT", "/v1/datasets/images.zip", params={"role": role}, content=content)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def job(self, kind: str = "clean") -> str:
        answer = self("POST", "/v1/jobs", json={"kind": kind, "teacher": self.teacher()})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def change(self, job_id: str, **values: Any) -> None:
        with self.edge.sessions.begin() as session:
            row = session.get_one(tables.Job, job_id)
            for name, value in values.items():
                setattr(row, name, value)

    def finish(self, job_id: str, status: JobStatus = JobStatus.SUCCEEDED, **values: Any) -> None:
        with self.edge.sessions.begin() as session:
            row = session.get_one(tables.Job, job_id)
            for name, value in {"status": status, **values}.items():
                setattr(row, name, value)
            session.flush()
            endings.tell(session, job_id)

    def tell(self, job_id: str, kind: EventKind, **data: Any) -> None:
        with self.edge.sessions.begin() as session:
            events.append(session, job_id, kind, data)

    def publish(self, job_id: str, name: str, content: bytes, media_type: str = "application/x-test") -> str:
        writer = self.edge.blobs.open_for_write(limit_bytes=len(content))
        writer.write(content)
        stored = writer.finish()
        artifact_id = new_id("art")
        with self.edge.sessions.begin() as session:
            tenant = session.get_one(tables.Job, job_id).tenant
            session.add(
                tables.Artifact(
                    id=artifact_id,
                    tenant=tenant,
                    job_id=job_id,
                    stage=Stage.REPORT,
                    name=name,
                    media_type=media_type,
                    size_bytes=stored.size_bytes,
                    sha256=stored.sha256,
                )
            )
        return artifact_id

    def blobs(self) -> list[Path]:
        """Return every file in the blob store, finished or not."""
        folder = self.edge.settings.home / "blobs"
        return [path for path in folder.rglob("*") if path.is_file() and path.name != "lock"]

    def needed(self) -> set[str]:
        """Return the blobs that rows refer to; upkeep deletes the others."""
        with self.edge.reading() as session:
            return blob_references.referenced(session)


@pytest.fixture(scope="session")
def migrated_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "proctor.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path, migrated_database: Path) -> str:
    """Give a migrated database; parametrize it indirectly with ``postgresql`` to have one of those."""
    if getattr(request, "param", "sqlite") == "postgresql":
        url: str = request.getfixturevalue("postgresql_url")
        upgrade(url)
        return url
    shutil.copy(migrated_database, tmp_path / "proctor.db")
    return f"sqlite:///{tmp_path}/proctor.db"


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return Settings(
        database_url=database_url,
        home=tmp_path,
        max_upload_bytes=100_000,
        max_body_bytes=50_000,
        inspect_wait_s=5.0,
        job_timeout_s=600,
    )


@pytest.fixture
def api(settings: Settings) -> Iterator[Api]:
    application = create_app(settings)
    inspector = Inspector()
    with asyncio.Runner() as runner:
        lifespan = application.router.lifespan_context(application)
        runner.run(lifespan.__aenter__())
        made: Edge = application.state.edge
        sessions = make_session_factory(made.engine, info={"doorbell": inspector})
        inspector.sessions = sessions
        application.state.edge = edge = dataclasses.replace(made, sessions=sessions)
        transport = httpx.ASGITransport(application, raise_app_exceptions=False)
        http = httpx.AsyncClient(transport=transport, base_url="http://proctor")
        with sessions.begin() as session:
            secret = keys.create(session, "ours", "test", [Scope.SUBMIT, Scope.READ])[1]
        try:
            yield Api(runner, http, edge, inspector, secret)
        finally:
            runner.run(http.aclose())
            runner.run(lifespan.__aexit__(None, None, None))
