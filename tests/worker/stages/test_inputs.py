from __future__ import annotations

import base64
import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from app.core.states import Stage
from models.architectures import build
from models.checkpoints.save import save_student
from models.errors import DataRejected, RecipeError, TrainingFailed
from models.recipes.architecture import ArchitectureSpec, Normalization
from models.recipes.job import Recipe
from models.results.training import StudentResult
from models.triggers import Trigger
from models.triggers.image_file import save_trigger_png
from worker.child_job import ChildBounds, ChildJob, OutputFile, StageOutput
from worker.context import plain
from worker.stages import inputs

SPEC = ArchitectureSpec("wrn-10-1", 10, 16)


def job_in(folder: Path, **changes: Any) -> ChildJob:
    job = ChildJob(
        folder=folder,
        facts={"kind": "clean"},
        stages=(),
        recipe={},
        triggers=(),
        teacher={},
        data={},
        upload={},
        threads=1,
        checkpoint_s=30,
        bounds=ChildBounds("degraded", memory_bytes=None, scratch_bytes=2**30),
    )
    return dataclasses.replace(job, **changes)


def square(name: str = "square", target_label: int = 3) -> Trigger:
    pattern, mask = torch.rand(3, 16, 16), torch.zeros(1, 16, 16)
    mask[:, 12:, 12:] = 1.0
    return Trigger(name, "replace", pattern, mask, target_label)


def test_a_recipe_survives_the_database(tmp_path: Path) -> None:
    recipe = Recipe(method="zskt", seed=7)
    assert inputs.load_recipe(job_in(tmp_path, recipe=plain(recipe))) == recipe


def test_an_empty_recipe_is_the_default(tmp_path: Path) -> None:
    assert inputs.load_recipe(job_in(tmp_path)) == Recipe()


def test_a_field_that_no_recipe_has_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed, match="bogus"):
        inputs.load_recipe(job_in(tmp_path, recipe={"bogus": 1}))


def test_what_another_version_stored_is_no_fault_to_report(tmp_path: Path) -> None:
    """A job that an update had interrupted failed with ``internal_error``, and so did each retry of it."""
    with pytest.raises(TrainingFailed) as caught:
        inputs.revive(StudentResult, {"role": "defended", "method": "ood"})
    assert caught.value.code == "version_changed"
    assert "defense" in caught.value.detail and "new job" in caught.value.hint


def test_triggers_by_name_keep_the_users_name(tmp_path: Path) -> None:
    described = {
        "name": "mine",
        "catalog": "badnets_square",
        "png": None,
        "kind": "replace",
        "target_label": 3,
    }
    (trigger,) = inputs.load_given_triggers(job_in(tmp_path, triggers=(described,)), 16)
    assert (trigger.name, trigger.target_label, trigger.size) == ("mine", 3, (16, 16))


def test_opacity_thins_a_trigger_by_name(tmp_path: Path) -> None:
    described = {"name": "mine", "catalog": "badnets_square", "target_label": 3, "opacity": 0.25}
    (trigger,) = inputs.load_given_triggers(job_in(tmp_path, triggers=(described,)), 16)
    assert trigger.mask.max() == 0.25


def test_a_picture_becomes_a_trigger(tmp_path: Path) -> None:
    png = base64.b64encode(save_trigger_png(square())).decode()
    described = {
        "name": "mine",
        "catalog": None,
        "png": png,
        "kind": "blend",
        "target_label": 4,
        "opacity": None,
    }
    (trigger,) = inputs.load_given_triggers(job_in(tmp_path, triggers=(described,)), 16)
    assert (trigger.name, trigger.kind, trigger.target_label) == ("mine", "blend", 4)
    assert trigger.mask_area == square().mask_area


@pytest.mark.parametrize(
    ("described", "error"),
    [
        ({"name": "x", "catalog": "no_such_trigger", "target_label": 0}, RecipeError),
        (
            {"name": "x", "png": base64.b64encode(b"GIF89a").decode(), "kind": "blend", "target_label": 0},
            DataRejected,
        ),
    ],
)
def test_a_trigger_that_is_none_is_refused(described: dict, error: type[Exception], tmp_path: Path) -> None:
    with pytest.raises(error):
        inputs.load_given_triggers(job_in(tmp_path, triggers=(described,)), 16)


def test_recovered_triggers_come_back_to_the_last_bit(tmp_path: Path) -> None:
    triggers = [square("first", 1), square("second", 2)]
    file = inputs.save_triggers(triggers, tmp_path / "recovered_triggers.safetensors")
    back = inputs.load_recovered_triggers(job_in(tmp_path, outputs={Stage.PROBE: StageOutput({}, (file,))}))
    for before, after in zip(triggers, back, strict=True):
        assert (after.name, after.kind, after.target_label) == (before.name, before.kind, before.target_label)
        assert torch.equal(after.pattern, before.pattern) and torch.equal(after.mask, before.mask)


def test_no_recovered_trigger_is_no_trigger(tmp_path: Path) -> None:
    file = inputs.save_triggers([], tmp_path / "recovered_triggers.safetensors")
    job = job_in(tmp_path, outputs={Stage.PROBE: StageOutput({}, (file,))})
    assert inputs.load_recovered_triggers(job) == []
    assert inputs.load_recovered_triggers(job_in(tmp_path)) == []


def test_a_student_comes_back_from_its_file(tmp_path: Path) -> None:
    network = build(SPEC).eval()
    path = tmp_path / "student.safetensors"
    save_student(network, SPEC, Normalization(), path, {})
    pixels = torch.rand(2, 3, 16, 16)
    with torch.no_grad():
        expected = network(pixels)
        got = inputs.load_student(path, SPEC, Normalization())(pixels)
    assert torch.equal(got, expected)


def test_without_uploads_there_are_no_images(tmp_path: Path) -> None:
    data = inputs.load_data(job_in(tmp_path), 16)
    assert (data.images, data.photographs) == (None, [])


def test_outputs_are_found_by_stage_and_name(tmp_path: Path) -> None:
    file = OutputFile("a", "text/plain", tmp_path / "a")
    job = job_in(tmp_path, outputs={Stage.PROBE: StageOutput({"x": 1}, (file,))})
    assert job.file(Stage.PROBE, "a") == tmp_path / "a"
    assert job.file(Stage.PROBE, "b") is None
    assert job.file(Stage.DISTILL, "a") is None
    assert (job.result(Stage.PROBE), job.result(Stage.DISTILL)) == ({"x": 1}, None)
