"""The stages of a protect job on tiny networks: from checkpoint and images to network, figures and report."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from app.core.states import STAGES, JobKind, Stage
from models import api
from models.errors import RecipeError
from models.recipes.job import Recipe
from models.recipes.protect import HarmRecipe, ProtectRecipe
from tests.worker.stages.test_subject import SPEC, TRUE, folder, job
from worker.child_job import ChildJob
from worker.context import plain
from worker.stages import inputs, measure, protect, report

__all__ = ["folder"]

RECIPE = Recipe(
    seed=3,
    protect=ProtectRecipe(
        epochs=1, batch_size=64, harm=HarmRecipe(architecture="wrn-10-1", epochs=1, batch_size=64)
    ),
)


class Silent:
    """A monitor for whom nothing was kept, and who keeps nothing."""

    def progress(self, done: int, total: int, **scalars: float) -> None: ...

    def checkpoint(self, state: object) -> None: ...

    def log(self, text: str) -> None: ...

    def wants_checkpoint(self) -> bool:
        return False

    def should_stop(self) -> bool:
        return False

    def resume(self) -> None:
        return None


def described(folder: Path, recipe: Recipe = RECIPE) -> ChildJob:
    (folder / "out").mkdir(exist_ok=True)
    made = job(folder, TRUE, "declared", recipe=plain(recipe))
    facts = {
        "id": "job_1", "kind": "protect", "device": "cpu", "created_at": "2026-01-01T10:00:00",
        "started_at": "2026-01-01T10:00:01", "attempt": 1,
    }  # fmt: skip
    data = {
        **made.data["labelled"],
        "role": "clean_labelled",
        "filename": "images.zip",
        "inspection": {"images": 300, "sha256": "0" * 64, "warnings": []},
    }
    teacher = {**made.teacher, "filename": "mine.pt"}
    return replace(made, facts=facts, data={"labelled": data}, teacher=teacher)


def done(folder: Path) -> ChildJob:
    """Run the job's stages in their order; results come back as the database would return them."""
    running = described(folder)
    run = {Stage.PROTECT: protect.run, Stage.MEASURE: measure.run, Stage.REPORT: report.run}
    for stage in STAGES[JobKind.PROTECT]:
        output = run[stage](running, Silent())  # type: ignore[arg-type]
        running.outputs[stage] = replace(output, result=plain(output.result))
    return running


def test_a_protect_job_leaves_network_figures_and_report(folder: Path) -> None:
    finished = done(folder)
    files = {file.name for output in finished.outputs.values() for file in output.files}
    assert files == {"nasty_teacher.safetensors", "protection.json", "report.html", "report.json"}
    written = json.loads((folder / "out" / "protection.json").read_text())
    assert written["schema"] == "proctor.protection"
    assert written["training"]["omega"] == RECIPE.protect.omega
    assert written["training"]["teacher_check"]["labels"]["doubtful"] is False
    assert written["protection"]["images"] == 61
    assert isinstance(written["protection"]["accepted"], bool)
    html = (folder / "out" / "report.html").read_text()
    assert written["protection"]["sentence"] in html
    assert "What this does not do" in html
    content = json.loads((folder / "out" / "report.json").read_text())
    assert content["protection"] == written["protection"]


def test_the_protected_network_is_read_as_the_original_would_be(folder: Path) -> None:
    running = described(folder)
    output = protect.run(running, Silent())  # type: ignore[arg-type]
    (file,) = output.files
    with safe_open(file.path, framework="pt") as opened:
        facts = opened.metadata()
    assert (facts["architecture"], facts["role"]) == (SPEC.name, "nasty_teacher")
    network = inputs.load_student(file.path, SPEC, TRUE)
    original = inputs.load_job_teacher(running).pixel_classifier()
    pixels = torch.rand(4, 3, 16, 16)
    with torch.no_grad():
        assert network(pixels).shape == original(pixels).shape
        assert not torch.equal(network(pixels), original(pixels))


def test_equal_jobs_leave_equal_networks(folder: Path) -> None:
    contents = []
    for _ in range(2):
        (file,) = protect.run(described(folder), Silent()).files  # type: ignore[arg-type]
        contents.append(file.path.read_bytes())
    assert contents[0] == contents[1]


@pytest.mark.parametrize("wanted", [False, True])
def test_the_recipe_says_whether_kernels_repeat_themselves(
    folder: Path, monkeypatch: pytest.MonkeyPatch, wanted: bool
) -> None:
    used = []

    def watched(name: str) -> None:
        real = getattr(api, name)

        def call(*arguments: object, **options: object) -> object:
            used.append((name, torch.are_deterministic_algorithms_enabled()))
            return real(*arguments, **options)

        monkeypatch.setattr(api, name, call)

    watched("protect")
    watched("measure_protection")
    running = described(folder, replace(RECIPE, deterministic=wanted))
    output = protect.run(running, Silent())  # type: ignore[arg-type]
    running.outputs[Stage.PROTECT] = replace(output, result=plain(output.result))
    measure.run(running, Silent())  # type: ignore[arg-type]
    assert used == [("protect", wanted), ("measure_protection", wanted)]
    assert not torch.are_deterministic_algorithms_enabled()


def test_labels_in_another_order_are_refused_before_anything_is_trained(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = inputs.load_data

    def shifted(job: ChildJob, size: int):
        data = load(job, size)
        assert data.labels is not None
        return replace(data, labels=(data.labels + 1) % 10)

    monkeypatch.setattr(inputs, "load_data", shifted)
    with pytest.raises(RecipeError) as caught:
        protect.run(described(folder), Silent())  # type: ignore[arg-type]
    assert caught.value.code == "labels_mismatch"


def test_without_labels_nothing_is_trained(folder: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        protect.run(replace(described(folder), data={}), Silent())  # type: ignore[arg-type]
    assert caught.value.code == "data_missing"
