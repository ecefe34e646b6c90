"""Audit the teacher."""

from __future__ import annotations

from dataclasses import asdict

from app.core.artifact_names import RECOVERED_TRIGGERS
from models import api
from worker.child_job import ChildJob, StageOutput
from worker.context import JobMonitor
from worker.stages import inputs


def run(job: ChildJob, monitor: JobMonitor) -> StageOutput:
    """Run the probes; leave the verdict and the triggers that were recovered."""
    teacher = inputs.load_job_teacher(job)
    size = teacher.spec.input_size
    audited = api.audit(
        teacher,
        inputs.load_data(job, size),
        inputs.load_given_triggers(job, size),
        inputs.load_recipe(job),
        monitor,
    )
    triggers = inputs.save_triggers(audited.recovered, job.out(RECOVERED_TRIGGERS))
    return StageOutput(asdict(audited.result), (triggers,))
