"""Measure teacher and students side by side, and scan the students for what the teacher does not show."""

from __future__ import annotations

from dataclasses import asdict, replace

from app.core.artifact_names import student_file
from app.core.states import Stage
from models import api
from models.checkpoints.load import Teacher
from models.results.audit import AuditResult
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
    data = inputs.load_data(job, size)
    images = api.measuring_images(teacher, data, recipe, method=trained.method)
    candidates = _candidates(job, teacher, trained)
    parts = 2 if recipe.verify.rescan else 1
    measuring = monitor.part("measure", 0, parts)
    check = inputs.load_teacher_check(job)
    result = api.verify(candidates, images, triggers, recipe.verify, measuring, check=check)
    if recipe.verify.rescan:
        probed = job.result(Stage.PROBE)
        audit = None if probed is None else inputs.revive(AuditResult, probed)
        scanning = monitor.part("rescan", 1, parts)
        rescan = api.rescan_students(teacher, candidates, data, recipe, scanning, audit=audit)
        result = replace(result, rescan=rescan, warnings=rescan.warnings)
        for warning in rescan.warnings:
            monitor.log(warning)
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
