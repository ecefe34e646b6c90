"""Measure teacher and students side by side."""

from __future__ import annotations

from dataclasses import asdict

from app.core.artifact_names import student_file
from app.core.states import Stage
from models import api
from models.checkpoints.load import Teacher
from models.results.training import DistillationResult
from models.verification import Candidate, MeasuredTrigger
from worker.child_job import ChildJob, StageOutput
from worker.context import JobMonitor
from worker.stages import inputs


def run(job: ChildJob, monitor: JobMonitor) -> StageOutput:
    """Measure, and decide whether the student is accepted."""
    teacher = inputs.load_job_teacher(job)
    recipe = inputs.load_recipe(job)
    size = teacher.spec.input_size
    trained = inputs.revive(DistillationResult, job.result(Stage.DISTILL))
    triggers = [MeasuredTrigger(trigger, "given") for trigger in inputs.load_given_triggers(job, size)]
    triggers += [MeasuredTrigger(trigger, "recovered") for trigger in inputs.load_recovered_triggers(job)]
    images = api.measuring_images(teacher, inputs.load_data(job, size), recipe, method=trained.method)
    candidates = _candidates(job, teacher, trained)
    result = api.verify(candidates, images, triggers, recipe.verify, monitor)
    return StageOutput(asdict(result))


def _candidates(job: ChildJob, teacher: Teacher, trained: DistillationResult) -> list[Candidate]:
    """Put the teacher first and the student to be accepted last, as they were trained."""
    roles = [student.role for student in trained.students]
    candidates = [Candidate("teacher", teacher.pixel_classifier(), teacher.spec)]
    for student in trained.students:
        path = job.file(Stage.DISTILL, student_file(student.role, roles))
        assert path is not None, "the distill stage leaves a file for every student"  # noqa: S101
        network = inputs.load_student(path, student.architecture, teacher.normalization)
        candidates.append(Candidate(student.role, network.to(teacher.device), student.architecture))
    return candidates
