"""A job's process whose stages compute nothing; inspection is the real one.

The recipe says how it behaves: ``seed`` is the number of tenths of a second that distilling takes, and
``control`` whether the student is accepted.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from app.core.states import Stage
from models.engine.monitor import raise_if_stopped
from worker.child_job import ChildJob, OutputFile, StageOutput
from worker.context import JobMonitor
from worker.sandbox import child

RATE = {"value": 0.9, "low": 0.8, "high": 0.95, "n": 100}


def probe(job: ChildJob, monitor: JobMonitor) -> StageOutput:
    monitor.log("Looking at every class ...")
    return StageOutput(
        {"verdict": "detected", "target_label": 3, "sentence": "Class 3 is a target.", "probes": []}, ()
    )


def distill(job: ChildJob, monitor: JobMonitor) -> StageOutput:
    steps = int(job.recipe["seed"])
    for step in range(steps):
        raise_if_stopped(monitor)
        time.sleep(0.1)
        monitor.progress(step + 1, steps, loss=1.0 / (step + 1))
    return StageOutput({"students": []}, (_file(job, "student.safetensors", "weights"),))


def verify(job: ChildJob, monitor: JobMonitor) -> StageOutput:
    accepted = bool(job.recipe["control"])
    return StageOutput(
        {"accepted": accepted, "sentence": "The student is measured.", "networks": [_network()]}, ()
    )


def _network() -> dict[str, object]:
    return {
        "role": "defended",
        "architecture": "wrn-10-1",
        "parameters": 5,
        "macs": 1,
        "size_bytes": 20,
        "accuracy": RATE,
        "attacks": [
            {"trigger": "ring", "origin": "given", "target_label": 3, "rate": {**RATE, "value": 0.01}}
        ],
    }


def report(job: ChildJob, monitor: JobMonitor) -> StageOutput:
    return StageOutput({}, (_file(job, "report.html", "<html>"),))


def _file(job: ChildJob, name: str, content: str) -> OutputFile:
    path = job.out(name)
    path.write_text(content)
    return OutputFile(name, "application/octet-stream", path)


STAGES = {Stage.PROBE: probe, Stage.DISTILL: distill, Stage.VERIFY: verify, Stage.REPORT: report}

if __name__ == "__main__":
    sys.exit(child.run(Path(sys.argv[1]), STAGES.__getitem__))
