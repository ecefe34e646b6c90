"""The end of a job that succeeded: everything it found becomes rows, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from app.core.artifact_names import STUDENT, student_file
from app.core.ids import new_id
from app.core.states import JobStatus, Stage, UploadStatus
from app.db.tables import Artifact, Dataset, Job, ProbeResultRow, StageOutput, Student, Teacher
from app.services import leases, stages, uploads
from app.services.leases import Lease
from app.services.stages import MetricPoint

Result = Mapping[str, Any]


def publish(session: Session, lease: Lease) -> None:
    """Write artifacts, probe results, students, curves, result and status, or nothing.

    Args:
        session: The caller's transaction.
        lease: The hold on the job, all of whose stages are finished.

    Raises:
        LeaseLost: The job is not this worker's any more; nothing was written.
    """
    leases.hold(session, lease)
    job = session.get_one(Job, lease.job_id)
    outputs = sorted(
        stages.finished(session, lease.job_id), key=lambda output: list(Stage).index(output.stage)
    )
    results: dict[Stage, Result] = {output.stage: output.result for output in outputs}
    upload = uploads.inspected(session, job)
    if upload is not None:
        _accept(upload, outputs[0])
    else:
        artifacts = _artifacts(job, outputs)
        session.add_all(artifacts.values())
        session.flush()
        _probe_results(session, job.id, results.get(Stage.PROBE, {}))
        _students(session, job.id, results, artifacts)
        stages.write_points(session, job.id, _curve(Stage.PROTECT, "nasty", results.get(Stage.PROTECT, {})))
    audit = results.get(Stage.PROBE, {})
    judged = results.get(Stage.VERIFY, results.get(Stage.MEASURE, {}))
    session.flush()
    leases.end(
        session,
        lease,
        JobStatus.SUCCEEDED,
        verdict=audit.get("verdict"),
        target_label=audit.get("target_label"),
        accepted=judged.get("accepted"),
        result={stage.value: result for stage, result in results.items() if stage != Stage.REPORT},
    )


def _accept(upload: Teacher | Dataset, output: StageOutput) -> None:
    """Keep the inspection of an upload, and the canonical file made from it."""
    found = output.result
    upload.status = UploadStatus.READY
    upload.inspection = found
    upload.canonical_sha256 = output.files[0]["sha256"]
    if isinstance(upload, Teacher):
        upload.architecture = found["architecture"]["name"]
        upload.num_classes = found["architecture"]["num_classes"]
        upload.input_size = found["architecture"]["input_size"]
        upload.parameters = found["parameters"]
    else:
        upload.images = found["images"]
        upload.num_classes = len(found["classes"]) or None


def _artifacts(job: Job, outputs: Sequence[StageOutput]) -> dict[str, Artifact]:
    return {
        file["name"]: Artifact(id=new_id("art"), tenant=job.tenant, job_id=job.id, stage=output.stage, **file)
        for output in outputs
        for file in output.files
    }


def _probe_results(session: Session, job_id: str, audit: Result) -> None:
    columns = ("probe", "target_label", "statistic", "p_value", "conspicuous", "seconds")
    for probe in audit.get("probes", ()):
        session.add(
            ProbeResultRow(job_id=job_id, network="teacher", **{name: probe[name] for name in columns})
        )


def _students(
    session: Session, job_id: str, results: Mapping[Stage, Result], artifacts: Mapping[str, Artifact]
) -> None:
    verification = results.get(Stage.VERIFY, {})
    measured = {network["role"]: network for network in verification.get("networks", ())}
    students = results.get(Stage.DISTILL, {}).get("students", ())
    for student in students:
        role = student["role"]
        file = student_file(role, [each["role"] for each in students])
        artifact = artifacts.get(file)
        session.add(
            Student(
                job_id=job_id,
                role=role,
                method=student["method"],
                defense=student["defense"],
                architecture=student["architecture"]["name"],
                accepted=verification.get("accepted") if file == STUDENT else None,
                artifact_id=None if artifact is None else artifact.id,
                **_measurements(measured.get(role, {})),
            )
        )
        stages.write_points(session, job_id, _curve(Stage.DISTILL, role, student))


def _measurements(network: Result) -> dict[str, Any]:
    """Flatten one row of the student table; the worst attack is the one that succeeds most."""
    columns = {name: network.get(name) for name in ("parameters", "macs", "size_bytes")}
    rates = [attack["rate"] for attack in network.get("attacks", ())]
    worst = max(rates, key=lambda rate: rate["value"], default=None)
    for prefix, rate in (("accuracy", network.get("accuracy")), ("worst_attack_success", worst)):
        if rate is not None:
            columns[prefix] = rate["value"]
            columns |= {f"{prefix}_{name}": rate[name] for name in ("low", "high", "n")}
    return columns


def _curve(stage: Stage, name: str, trained: Result) -> list[MetricPoint]:
    return [
        MetricPoint(stage, f"{name}.{series}"[:128], point["step"], value)
        for point in trained.get("curve", ())
        for series, value in point["values"].items()
    ]
