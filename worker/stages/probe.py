"""Audit the teacher."""

from __future__ import annotations

from dataclasses import asdict, replace

from app.core.artifact_names import RECOVERED_TRIGGERS
from app.core.states import STAGES, Stage
from models import api
from models.errors import DataRejected
from models.probes.calibration.read_set import read_set
from models.probes.calibration.reference_set import ReferenceSet
from worker.child_job import ChildJob, StageOutput
from worker.context import JobMonitor
from worker.stages import inputs


def run(job: ChildJob, monitor: JobMonitor) -> StageOutput:
    """Run the probes; leave the verdict and the triggers that were recovered."""
    subject = inputs.load_subject(job, monitor)
    if Stage.DISTILL in STAGES[job.kind]:
        # What cannot be trained is refused before an audit that may take an hour.
        api.plan_students(subject.teacher, subject.data, inputs.load_recipe(job))
    audited = api.audit(
        subject.teacher,
        subject.data,
        inputs.load_given_triggers(job, subject.teacher.spec.input_size),
        inputs.load_recipe(job),
        monitor,
        sets=_reference_sets(job, monitor),
        doubts=api.doubts_of(inputs.load_inspection(job).normalization_source, subject.check),
    )
    result = replace(audited.result, teacher_check=subject.check)
    triggers = inputs.save_triggers(audited.recovered, job.out(RECOVERED_TRIGGERS))
    return StageOutput(asdict(result), (triggers,))


def _reference_sets(job: ChildJob, monitor: JobMonitor) -> list[ReferenceSet]:
    """Read the installation's sets; one that cannot be read is named in the log, and does not end the job."""
    found = []
    for name, text in job.calibration.items():
        try:
            found.append(read_set(text.encode()))
        except DataRejected as error:
            monitor.log(f"The reference set {name} is not used: {error.detail}")
    return found
