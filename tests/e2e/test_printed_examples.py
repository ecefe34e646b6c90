"""The examples of README and docs/http.md, run as printed; only the job's stages compute nothing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
import torch
from PIL import Image

from models.architectures import build
from models.recipes.architecture import ArchitectureSpec
from tests.e2e.running_service import Running, serving

ROOT = Path(__file__).parents[2]
PROGRAM = [sys.executable, str(Path(__file__).with_name("proctor_with_fake_stages.py"))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the folder a user stands in, with the files that the examples name."""
    folder = tmp_path_factory.mktemp("user")
    torch.manual_seed(0)
    weights = build(ArchitectureSpec("wrn-10-2", 2, 16)).state_dict()
    torch.save(weights, folder / "teacher.pt")
    torch.save(weights, folder / "suspect.pt")
    with zipfile.ZipFile(folder / "test-images.zip", "w") as archive:
        for index in range(20):
            image = BytesIO()
            Image.new("RGB", (16, 16), (12 * index, 90, 200)).save(image, "PNG")
            archive.writestr(f"{'cat' if index % 2 else 'dog'}/{index}.png", image.getvalue())
    return folder


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with serving(tmp_path_factory.mktemp("service") / "home", program=PROGRAM) as running:
        yield running


def shell(script: str, folder: Path, service: Running) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PROCTOR_HOME": str(service.home),
        "URL": service.url,
        "KEY": service.key,
    }
    command = ["bash", "-euo", "pipefail", "-c", script]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def readme_commands() -> list[str]:
    section = (ROOT / "README.md").read_text("utf-8").split("## Use it")[1].split("\n## ")[0]
    blocks = re.findall(r"```console\n(.*?)```", section, flags=re.DOTALL)
    lines = [
        line.removeprefix("$ ").split("  #")[0].strip() for block in blocks for line in block.splitlines()
    ]
    return [line for line in lines if line.startswith("proctor") and line != "proctor serve"]


def test_the_commands_of_the_readme(folder: Path, service: Running) -> None:
    submit, watch, fetch = readme_commands()
    submitted = shell(submit, folder, service)
    assert submitted.returncode == 0, submitted.stderr
    job = submitted.stdout.strip()
    assert re.fullmatch(r"job_\w+", job)
    watched = shell(watch.replace("job_...", job), folder, service)
    assert watched.returncode == 0, watched.stderr
    fetched = shell(fetch.replace("job_...", job), folder, service)
    assert fetched.returncode == 0, fetched.stderr
    assert {"student.safetensors", "report.html"} <= {path.name for path in (folder / "out").iterdir()}


@pytest.mark.parametrize("command", ["proctor inspect teacher.pt", "proctor doctor", "proctor --help"])
def test_the_commands_beside_them(command: str, folder: Path, service: Running) -> None:
    done = shell(command, folder, service)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_requests_of_the_http_page(folder: Path, service: Running) -> None:
    page = (ROOT / "docs" / "http.md").read_text("utf-8")
    (script,) = re.findall(r"```sh\n(.*?)```", page, flags=re.DOTALL)
    done = shell(script, folder, service)
    assert done.returncode == 0, done.stderr
    assert "event: done" in done.stdout
    assert (folder / "report.html").read_text() == "<html>"
