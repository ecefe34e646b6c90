"""Train the job's students: the undefended control, then the one to be accepted."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import Any

from app.core.artifact_names import student_file
from models import api
from models.architectures import build
from models.checkpoints.load import Teacher
from models.checkpoints.save import save_student
from models.data.bundle import AuditData
from models.engine.monitor import ResumeState
from models.results.training import DistillationResult, StudentResult
from worker.child_job import ChildJob, OutputFile, StageOutput
from worker.context import JobMonitor, plain
from worker.stages import inputs

FINISHED = "finished"


def run(job: ChildJob, monitor: JobMonitor) -> StageOutput:
    """Train; leave a file for each student."""
    subject = inputs.load_subject(job, monitor)
    teacher, data = subject.teacher, subject.data
    chosen, orders = api.plan_students(teacher, data, inputs.load_recipe(job))
    roles = [order.role for order in orders]
    monitor.log(chosen.reason)
    results, files = [], []
    for index, order in enumerate(orders):
        student = _train(job, teacher, data, order, monitor.part(order.role, index, len(orders)))
        path = job.out(student_file(order.role, roles))
        metadata = _metadata(job, student.result)
        save_student(student.network, order.architecture, teacher.normalization, path, metadata)
        files.append(OutputFile(path.name, "application/octet-stream", path))
        results.append(student.result)
    result = DistillationResult(
        chosen.method, chosen.defense, chosen.reason, tuple(results), teacher_check=subject.check
    )
    return StageOutput(asdict(result), tuple(files))


def _train(
    job: ChildJob, teacher: Teacher, data: AuditData, order: api.StudentOrder, monitor: JobMonitor
) -> api.TrainedStudent:
    """Train one student, or go on with it, or take it as an earlier attempt finished it."""
    state = monitor.resume()
    if state is not None and FINISHED in state.values:
        network = build(order.architecture)
        network.load_state_dict(dict(state.tensors), strict=True)
        return api.TrainedStudent(network.eval(), inputs.revive(StudentResult, state.values[FINISHED]))
    student = api.distill(
        teacher,
        data,
        inputs.load_recipe(job),
        order,
        monitor,
        recovered=inputs.load_recovered_triggers(job),
        resume=state,
    )
    values: dict[str, Any] = {FINISHED: plain(student.result)}
    monitor.checkpoint(ResumeState(student.network.state_dict(), values))
    return student


def _metadata(job: ChildJob, result: StudentResult) -> dict[str, str]:
    """Describe a student in its own header; nothing that differs between equal runs."""
    recipe = json.dumps(job.recipe, sort_keys=True).encode()
    return {
        "role": result.role,
        "method": result.method,
        "defense": result.defense,
        "seed": str(result.seed),
        "recipe_sha256": hashlib.sha256(recipe).hexdigest(),
        "teacher_sha256": job.teacher["inspection"]["sha256"],
    }
