"""The whole journey with real stages, over HTTP, on both deployments: upload, clean, download, look into SQL.

The teacher has random weights: what is tested is the way, not the student's quality. On the embedded default
it is left to ``--runslow``: ``test_run`` and ``test_printed_examples`` go most of that way in every run.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from sqlalchemy import text

from app.client import ProctorClient
from app.db.base import make_engine
from models.architectures import build
from models.recipes.architecture import ArchitectureSpec
from models.sandbox.level import sandbox_level
from tests.e2e.running_service import Running, serving

RECIPE = {
    "method": "ood",
    "student": {"architecture": "wrn-10-1"},
    "probe": {"budget": "quick", "transfer": False},
    "ood": {"patches": 64, "images": 128, "batch_size": 32, "patch_style": "strokes"},
    "abd": {"vaccine": {"selection_batches": 0}},
}


@pytest.fixture(params=[pytest.param("sqlite+filesystem", marks=pytest.mark.slow), "postgresql+redis+s3"])
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Running]:
    environment = {"DATABASE_URL": f"sqlite:///{tmp_path}/proctor.db", "PROCTOR_UPKEEP_S": "2"}
    if request.param == "postgresql+redis+s3":
        environment["DATABASE_URL"] = request.getfixturevalue("postgresql_url")
        environment["BROKER_URL"] = request.getfixturevalue("redis_url")
        environment["BLOB_URL"] = request.getfixturevalue("s3_url")
    with serving(tmp_path / "home", environment) as running:
        yield running
    assert (tmp_path / "home" / "blobs").exists() == ("BLOB_URL" not in environment)


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    network = build(ArchitectureSpec("wrn-10-1", 10, 16))
    path = tmp_path / "teacher.safetensors"
    save_file(network.state_dict(), path)
    return path


@pytest.fixture
def images(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0)
    path = tmp_path / "images.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for index in range(60):
            buffer = io.BytesIO()
            Image.fromarray(pixels.integers(0, 256, (16, 16, 3), np.uint8)).save(buffer, format="PNG")
            archive.writestr(f"{index % 10}/{index:03d}.png", buffer.getvalue())
    return path


def test_a_teacher_goes_in_and_a_student_comes_out(
    service: Running, teacher: Path, images: Path, tmp_path: Path
) -> None:
    with ProctorClient(service.url, service.key) as client:
        teacher_id = client.upload_teacher(teacher, {"input_size": "16"})["id"]
        dataset_id = client.upload_dataset(images, "clean_labelled")["id"]
        trigger = {"name": "ring", "target_label": 0, "catalog": "ring"}
        job = client.submit(
            {
                "kind": "clean",
                "teacher": teacher_id,
                "data": {"labelled": dataset_id},
                "triggers": [trigger],
                "recipe": RECIPE,
            }
        )
        events = list(client.events(job["id"]))
        job = client.job(job["id"])
        assert job["status"] == "succeeded", f"{job['error']}\n{service.logs()}"
        files = {artifact["name"]: artifact for artifact in client.artifacts(job["id"])}
        for name in ("report.html", "student.safetensors"):
            client.download(files[name], tmp_path / name)
    stages = [event.data["stage"] for event in events if event.type == "stage"]
    assert stages == ["probe", "distill", "verify", "report"]
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert set(job["result"]) == {"probe", "distill", "verify"}
    roles = [row["role"] for row in job["result"]["verify"]["networks"]]
    assert roles == ["teacher", "undefended", "defended"]
    page = (tmp_path / "report.html").read_text()
    assert "<script" not in page
    assert f">sandbox</th><td>{sandbox_level()}</td>" in page
    assert rows_of(service, job["id"]) == {"attempts": 1, "students": 2, "artifacts": len(files)}


def rows_of(service: Running, job_id: str) -> dict[str, int]:
    """Count what a reviewer would find with SQL."""
    engine = make_engine(service.environment["DATABASE_URL"])
    try:
        with engine.connect() as connection:
            return {
                table: connection.execute(
                    text(f"SELECT count(*) FROM {table} WHERE job_id = :job_id"), {"job_id": job_id}
                ).scalar_one()
                for table in ("attempts", "students", "artifacts")
            }
    finally:
        engine.dispose()
