"""The first stage of a job checks teacher and images, and all later ones use what it settled on."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from app.core.states import Stage
from models.architectures import PixelClassifier, build
from models.checkpoints.normalization_fit import COMMON
from models.checkpoints.save import save_student
from models.data.patches import make_patches
from models.data.photographs import builtin_photographs
from models.data.pictures import ImageGroup, write_groups
from models.metrics import predict
from models.recipes.architecture import ArchitectureSpec, Normalization
from models.results.inspection import CheckpointInspection
from tests.worker.stages.test_inputs import job_in
from worker.child_job import ChildJob, StageOutput
from worker.context import plain
from worker.stages import inputs

SPEC = ArchitectureSpec("wrn-10-1", 10, 16)
TRUE, WRONG = COMMON["ImageNet's statistics"], COMMON["pixels in [0, 255]"]


class Listening:
    """A monitor that keeps what is logged."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def log(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A random network whose BatchNorm saw photographs through TRUE, and images labelled as it sees them."""
    images = make_patches(builtin_photographs(), count=300, size=16, seed=0)
    torch.manual_seed(0)
    network = build(SPEC)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    classifier = PixelClassifier(network, TRUE)
    with torch.no_grad():
        classifier.train()(images.float() / 255)
    save_student(network.eval(), SPEC, TRUE, tmp_path / "teacher", {})
    labels = predict(classifier, images).numpy()
    group = ImageGroup(images.numpy(), np.arange(300), labels)
    write_groups({"16x16": group}, tuple("abcdefghij"), tmp_path / "images")
    return tmp_path


def job(folder: Path, normalization: Normalization, source: str, **changes: Any) -> ChildJob:
    sha256 = hashlib.sha256((folder / "teacher").read_bytes()).hexdigest()
    inspection = CheckpointInspection(
        "torch_zip", SPEC, "inferred", normalization, source, 1, 1, 1, {}, 1, "0" * 64, sha256, None, None
    )  # fmt: skip
    described = job_in(
        folder,
        facts={"kind": "clean", "device": "cpu"},
        teacher={"path": folder / "teacher", "inspection": plain(inspection)},
        data={"labelled": {"path": folder / "images"}},
    )
    return replace(described, **changes)


def test_what_fits_is_left_alone(folder: Path) -> None:
    monitor = Listening()
    subject = inputs.load_subject(job(folder, TRUE, "estimated"), monitor)
    assert subject.teacher.normalization == TRUE
    assert subject.check is not None
    assert subject.check.labels.agreement.value == 1.0
    assert subject.check.labels.classes[0].name in "abcdefghij"
    # It names five classes alone, so no image has another label.
    assert [line.split(" shows")[0] for line in monitor.lines] == ["No labelled image"]


@pytest.mark.parametrize("stage", [Stage.PROBE, Stage.DISTILL])
def test_a_replaced_normalization_holds_for_all_later_stages(stage: Stage, folder: Path) -> None:
    monitor = Listening()
    first = job(folder, WRONG, "assumed")
    subject = inputs.load_subject(first, monitor)
    assert subject.check is not None
    used = subject.teacher.normalization
    assert used != WRONG
    assert monitor.lines == list(subject.check.warnings)
    later = replace(first, outputs={stage: StageOutput({"teacher_check": plain(subject.check)})})
    assert inputs.load_job_teacher(later).normalization == used
    again = inputs.load_subject(later, monitor)
    assert (again.teacher.normalization, again.check) == (used, None)
    assert len(monitor.lines) == len(subject.check.warnings)


def test_a_declared_normalization_is_kept(folder: Path) -> None:
    monitor = Listening()
    subject = inputs.load_subject(job(folder, WRONG, "declared"), monitor)
    assert subject.teacher.normalization == WRONG
    assert "check mean and std" in monitor.lines[0]


def test_without_labels_nothing_is_checked(folder: Path) -> None:
    subject = inputs.load_subject(job(folder, WRONG, "assumed", data={}), Listening())
    assert subject.check is None
    assert subject.teacher.normalization == WRONG
