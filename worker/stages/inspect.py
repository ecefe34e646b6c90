"""Inspect an upload: is it a checkpoint or an archive that we read, and what is in it? Loads no torch."""

from __future__ import annotations

from dataclasses import asdict

from app.schemas.layers import LAYER_LIST
from models.checkpoints.inspect import InspectOptions
from models.checkpoints.isolated import inspect_isolated
from models.checkpoints.limits import Limits
from models.data.isolated import inspect_dataset_isolated
from worker.child_job import ChildJob, OutputFile, StageOutput
from worker.context import JobMonitor

CANONICAL = "canonical.safetensors"


def run(job: ChildJob, monitor: JobMonitor) -> StageOutput:
    """Inspect, and leave the canonical file.

    Raises:
        Rejected: With the reader's code and hint.
    """
    path, out = job.upload["path"], job.out(CANONICAL)
    if job.upload["table"] == "teacher":
        declared = dict(job.upload["declared"])
        for name in ("mean", "std"):  # JSON has no tuples
            if name in declared:
                declared[name] = tuple(declared[name])
        if "layers" in declared:
            declared["layers"] = LAYER_LIST.validate_python(declared["layers"])
        limits = Limits().admitting(path.stat().st_size)  # the edge has bounded it
        options, mode = InspectOptions(**declared), job.bounds.sandbox
        result = asdict(inspect_isolated(path, out, options, limits=limits, sandbox=mode))
    else:
        result = asdict(inspect_dataset_isolated(path, out, job.upload["role"], sandbox=job.bounds.sandbox))
    monitor.progress(1, 1)
    return StageOutput(result, (OutputFile(CANONICAL, "application/octet-stream", out),))
