"""Measure what a protection costs its owner, and what it costs a thief."""

from __future__ import annotations

import json
from dataclasses import asdict

from app.core.artifact_names import NASTY_TEACHER, PROTECTION_JSON
from app.core.states import Stage
from models import api
from models.engine.determinism import deterministic
from worker.child_job import ChildJob, OutputFile, StageOutput
from worker.context import JobMonitor, plain
from worker.stages import inputs

SCHEMA, SCHEMA_VERSION = "proctor.protection", 1


def run(job: ChildJob, monitor: JobMonitor) -> StageOutput:
    """Train the students that measure it, and write the result down as a file of its own."""
    teacher, recipe = inputs.load_job_teacher(job), inputs.load_recipe(job)
    path = job.file(Stage.PROTECT, NASTY_TEACHER)
    assert path is not None, "the protect stage leaves its network"  # noqa: S101
    nasty = inputs.load_student(path, teacher.spec, teacher.normalization).network.to(teacher.device)
    with deterministic(recipe.deterministic):
        result = api.measure_protection(
            teacher,
            nasty,
            inputs.load_data(job, teacher.spec.input_size),
            recipe.protect,
            seed=recipe.seed,
            monitor=monitor,
            resume=monitor.resume(),
        )
    written = job.out(PROTECTION_JSON)
    content = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "training": job.result(Stage.PROTECT),
        "protection": result,
    }
    written.write_text(json.dumps(plain(content), indent=1), "utf-8")
    return StageOutput(asdict(result), (OutputFile(written.name, "application/json", written),))
