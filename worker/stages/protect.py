"""Train the nasty twin of the owner's network."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace

from app.core.artifact_names import NASTY_TEACHER
from models import api
from models.checkpoints.save import save_student
from models.engine.determinism import deterministic
from models.errors import RecipeError
from models.results.teacher_check import TeacherCheck
from worker.child_job import ChildJob, OutputFile, StageOutput
from worker.context import JobMonitor
from worker.stages import inputs


def run(job: ChildJob, monitor: JobMonitor) -> StageOutput:
    """Train, or go on with it; leave the protected network."""
    subject = inputs.load_subject(job, monitor)
    _require_fit(subject.check)
    recipe, teacher = inputs.load_recipe(job), subject.teacher
    with deterministic(recipe.deterministic):
        made = api.protect(
            teacher, subject.data, recipe.protect, seed=recipe.seed, monitor=monitor, resume=monitor.resume()
        )
    path = job.out(NASTY_TEACHER)
    save_student(made.network, teacher.spec, teacher.normalization, path, _metadata(job))
    result = replace(made.result, teacher_check=subject.check)
    return StageOutput(asdict(result), (OutputFile(path.name, "application/octet-stream", path),))


def _require_fit(check: TeacherCheck | None) -> None:
    """Refuse labels that mean something else to the network: its twin would learn another task.

    Raises:
        RecipeError: ``labels_mismatch``.
    """
    if check is not None and check.labels.doubtful:
        raise RecipeError(
            check.labels.sentence,
            code="labels_mismatch",
            hint="Give images of the network's own classes, in the same order; check mean and std.",
        )


def _metadata(job: ChildJob) -> dict[str, str]:
    """Describe the network in its own header; nothing that differs between equal runs."""
    recipe = json.dumps(job.recipe, sort_keys=True).encode()
    return {
        "role": "nasty_teacher",
        "recipe_sha256": hashlib.sha256(recipe).hexdigest(),
        "teacher_sha256": job.teacher["inspection"]["sha256"],
    }
