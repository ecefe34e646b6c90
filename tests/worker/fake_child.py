"""A job's process with stages that compute nothing. The job's recipe says how they behave.

steps, step_s       how many steps the distill stage has, and how long each takes
slow_once           whether steps take time only when the stage is begun for the first time
marks               a file that gets a line for every stage that is begun
then                what the distill stage does after its steps: nothing, or "crash", "kill", "hang",
                    "garbage", "fail", "raise", "link", "skip", "full" (unless it has kept a state before)
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

from safetensors import SafetensorError

from app.core.states import Stage
from models.checkpoints.child import ask
from models.engine.monitor import raise_if_stopped
from models.errors import HostDiskFull, TrainingFailed
from worker.child_job import ChildJob, OutputFile, StageOutput
from worker.context import JobMonitor
from worker.sandbox import child

RATE = {"value": 0.9, "low": 0.8, "high": 0.95, "n": 100}
ATTACK = {"trigger": "square", "origin": "given", "target_label": 3, "rate": {**RATE, "value": 0.02}}
PROBE = {
    "probe": "mmbd",
    "target_label": 3,
    "statistic": 9.5,
    "p_value": 0.01,
    "conspicuous": True,
    "seconds": 1.0,
}
AUDIT = {"verdict": "detected", "target_label": 3, "probes": [PROBE]}
STUDENT = {
    "role": "defended",
    "method": "ood",
    "defense": "abd",
    "architecture": {"name": "wrn-10-1", "num_classes": 10, "input_size": 16},
    "curve": [{"step": 1, "values": {"loss": 2.0}}, {"step": 2, "values": {"loss": 1.0}}],
}
VERIFICATION = {
    "accepted": True,
    "networks": [
        {"role": "teacher", "parameters": 10, "macs": 1, "size_bytes": 40, "accuracy": RATE, "attacks": []},
        {
            "role": "defended",
            "parameters": 5,
            "macs": 1,
            "size_bytes": 20,
            "accuracy": RATE,
            "attacks": [ATTACK],
        },
    ],
}


def write(job: ChildJob, name: str, content: str) -> OutputFile:
    path = job.out(name)
    path.write_text(content)
    return OutputFile(name, "application/octet-stream", path)


def mark(job: ChildJob, stage: str) -> None:
    if "marks" in job.recipe:
        with Path(job.recipe["marks"]).open("a") as file:
            file.write(f"{stage} {os.getpid()}\n")


def inspect(job: ChildJob, monitor: JobMonitor) -> StageOutput:
    content = job.upload["path"].read_text()
    if content.startswith("told to stop"):
        ask([sys.executable, "-I", "-c", "import os; os.kill(os.getpid(), 15)"], {}, wall_s=20)
    if content.startswith("no room"):
        raise HostDiskFull
    if content.startswith("bad"):
        raise TrainingFailed("This is no checkpoint.", code="not_a_checkpoint", hint="Upload one.")
    architecture = {"name": "wrn-16-1", "num_classes": 10, "input_size": 16}
    result = {"architecture": architecture, "parameters": 7}
    return StageOutput(result, (write(job, "canonical.safetensors", "canonical " + content),))


def probe(job: ChildJob, monitor: JobMonitor) -> StageOutput:
    mark(job, "probe")
    monitor.metric("margin", 1, 0.5)
    monitor.log("probing")
    return StageOutput(AUDIT, (write(job, "audit.json", json.dumps(AUDIT)),))


def distill(job: ChildJob, monitor: JobMonitor) -> StageOutput:
    mark(job, "distill")
    steps = int(job.recipe.get("steps", 2))
    step_s = job.recipe.get("step_s", 0.0)
    if job.recipe.get("slow_once") and Path(job.recipe["marks"]).read_text().count("distill") > 1:
        step_s = 0.0
    for step in range(steps):
        raise_if_stopped(monitor)
        time.sleep(step_s)
        monitor.progress(step + 1, steps, loss=1.0 / (step + 1), bad=float("nan"))
    misbehave(job, monitor)
    return StageOutput({"students": [STUDENT]}, (write(job, "student.safetensors", "weights"),))


def misbehave(job: ChildJob, monitor: JobMonitor) -> None:
    match job.recipe.get("then"):
        case "crash":
            os._exit(7)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(600)
        case "garbage":
            monitor._outbox._stream.write("{]\n")
        case "fail":
            raise TrainingFailed("The loss is not finite.", code="non_finite", hint="Lower the rate.")
        case "full":
            kept = job.resume_folder / "state"
            if not kept.exists():
                kept.write_text("of many hours")
                raise SafetensorError("I/O error: No space left on device (os error 28)")
        case "raise":
            raise RuntimeError("/secret/path")
        case "link":
            job.out("stolen").symlink_to("/etc/passwd")
            monitor._outbox.say(
                "stage_done",
                stage="distill",
                result={},
                files=[{"name": "stolen", "media_type": "text/plain"}],
            )
        case "skip":
            monitor._outbox.say("done")


def verify(job: ChildJob, monitor: JobMonitor) -> StageOutput:
    mark(job, "verify")
    assert job.file(Stage.DISTILL, "student.safetensors").read_text() == "weights"
    return StageOutput(VERIFICATION, ())


def protect(job: ChildJob, monitor: JobMonitor) -> StageOutput:
    mark(job, "protect")
    result = {"curve": [{"step": 1, "values": {"divergence": 3.0}}]}
    return StageOutput(result, (write(job, "nasty_teacher.safetensors", "nasty weights"),))


def measure(job: ChildJob, monitor: JobMonitor) -> StageOutput:
    mark(job, "measure")
    assert job.file(Stage.PROTECT, "nasty_teacher.safetensors").read_text() == "nasty weights"
    return StageOutput({"accepted": False}, (write(job, "protection.json", "{}"),))


def report(job: ChildJob, monitor: JobMonitor) -> StageOutput:
    mark(job, "report")
    stages = sorted(str(stage) for stage in job.outputs)
    return StageOutput({}, (write(job, "report.html", f"<p>{' '.join(stages)}"),))


FUNCTIONS = {
    Stage.INSPECT: inspect,
    Stage.PROBE: probe,
    Stage.DISTILL: distill,
    Stage.VERIFY: verify,
    Stage.PROTECT: protect,
    Stage.MEASURE: measure,
    Stage.REPORT: report,
}

if __name__ == "__main__":
    sys.exit(child.run(Path(sys.argv[1]), FUNCTIONS.__getitem__))
