"""Write the report: everything recorded so far, as HTML and as JSON; an audit's findings as SARIF, too."""

from __future__ import annotations

import hashlib
import json
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypeVar

from app.core.artifact_names import REPORT_HTML, REPORT_JSON, REPORT_SARIF
from app.core.states import Stage
from models import api
from models.report import DatasetFacts, JobFacts, Picture, Provenance
from models.report.pictures import trigger_pictures
from models.results.audit import AuditResult
from models.results.protection import ProtectionResult, ProtectionTraining
from models.results.training import DistillationResult
from models.results.verification import VerificationResult
from worker.child_job import ChildJob, OutputFile, StageOutput
from worker.context import JobMonitor, plain
from worker.stages import inputs

T = TypeVar("T")

LIBRARIES = (
    "proctor",
    "torch",
    "torchvision",
    "timm",
    "numpy",
    "safetensors",
    "pillow",
    "scikit-learn",
    "matplotlib",
)


def run(job: ChildJob, monitor: JobMonitor) -> StageOutput:
    """Gather what the other stages left, and write it down."""
    pictures = _pictures(job)
    document = api.ReportDocument(
        job=_job_facts(job),
        inspection=inputs.load_inspection(job),
        provenance=_provenance(job),
        audit=_result(job, Stage.PROBE, AuditResult),
        distillation=_result(job, Stage.DISTILL, DistillationResult),
        verification=_result(job, Stage.VERIFY, VerificationResult),
        protection_training=_result(job, Stage.PROTECT, ProtectionTraining),
        protection=_result(job, Stage.MEASURE, ProtectionResult),
        pictures=pictures,
    )
    files = [
        _write(job, REPORT_HTML, "text/html", api.render_report(document).encode()),
        _write(job, REPORT_JSON, "application/json", _json(document.to_json())),
    ]
    if document.audit is not None:
        findings = api.render_sarif(document)
        files.append(_write(job, REPORT_SARIF, "application/sarif+json", _json(findings)))
    patterns = {picture.group: picture for picture in reversed(pictures)}  # the first of each trigger
    for number, picture in enumerate(reversed(patterns.values()), start=1):
        files.append(_write(job, f"trigger-{number:02}.png", "image/png", picture.png))
    monitor.progress(1, 1)
    return StageOutput({}, tuple(files))


def _result(job: ChildJob, stage: Stage, kind: type[T]) -> T | None:
    found = job.result(stage)
    return None if found is None else inputs.revive(kind, found)


def _job_facts(job: ChildJob) -> JobFacts:
    names = ("id", "kind", "created_at", "started_at", "attempt", "device")
    facts: dict[str, Any] = {name: job.facts[name] for name in names}
    return JobFacts(teacher_filename=job.teacher["filename"], **facts)


def _provenance(job: ChildJob) -> Provenance:
    files = [file for output in job.outputs.values() for file in output.files]
    return Provenance(
        recipe=dict(job.recipe),
        versions=_versions(),
        threads=job.threads,
        sandbox=job.sandbox,
        artifacts={file.name: hashlib.sha256(file.path.read_bytes()).hexdigest() for file in files},
        datasets=tuple(
            DatasetFacts(
                role=dataset["role"],
                filename=dataset["filename"],
                images=dataset["inspection"]["images"],
                sha256=dataset["inspection"]["sha256"],
                warnings=tuple(dataset["inspection"]["warnings"]),
            )
            for dataset in job.data.values()
        ),
    )


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # run from a checkout that was never installed
            continue
    return found


def _pictures(job: ChildJob) -> tuple[Picture, ...]:
    """Show every trigger on images that the job measured on."""
    teacher = inputs.load_job_teacher(job)
    size = teacher.spec.input_size
    triggers = [*inputs.load_given_triggers(job, size), *inputs.load_recovered_triggers(job)]
    if not triggers:
        return ()
    data, recipe = inputs.load_data(job, size), inputs.load_recipe(job)
    shown = api.measuring_images(teacher, data, recipe, method="ood")
    return tuple(
        picture
        for trigger in triggers
        for picture in trigger_pictures(trigger, shown.images, image_source=shown.source)
    )


def _json(content: dict[str, Any]) -> bytes:
    return json.dumps(plain(content), indent=1, allow_nan=False).encode()


def _write(job: ChildJob, name: str, media_type: str, content: bytes) -> OutputFile:
    path = job.out(name)
    path.write_bytes(content)
    return OutputFile(name, media_type, path)
