"""The job's own process: runs stages, says what happens, and stops when asked to.

python -I -m worker.sandbox.child SCRATCH_FOLDER
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path

from app.core.states import Stage
from models.errors import ProctorError
from worker.child_job import ChildJob, StageOutput
from worker.context import JobMonitor, Outbox
from worker.resume import ResumeStore

StageFunction = Callable[[ChildJob, JobMonitor], StageOutput]


def stage_function(stage: Stage) -> StageFunction:
    """Load a stage's code, and only that: an inspection loads no torch."""
    function: StageFunction = importlib.import_module(f"worker.stages.{stage}").run
    return function


def run(folder: Path, function_of: Callable[[Stage], StageFunction]) -> int:
    """Run the stages that are left and return the exit status."""
    outbox = _take_standard_output()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    try:
        _run_stages(ChildJob.read(folder), function_of, outbox, stop)
    except ProctorError as error:
        outbox.say("failed", code=error.code, detail=error.detail[:4096], hint=error.hint[:4096])
        return 0
    except Exception as error:
        traceback.print_exc()
        outbox.say("failed", **_unexpected(error))
        return 1
    outbox.say("done")
    return 0


def _run_stages(
    job: ChildJob, function_of: Callable[[Stage], StageFunction], outbox: Outbox, stop: threading.Event
) -> None:
    resume = ResumeStore(job.resume_folder)
    for stage in job.stages:
        outbox.say("stage", stage=stage)
        monitor = JobMonitor(outbox, stage, stop, resume, checkpoint_s=job.checkpoint_s)
        output = function_of(stage)(job, monitor)
        job.outputs[stage] = output
        outbox.stage_done(stage, output)


def _take_standard_output() -> Outbox:
    """Keep the pipe for messages; what libraries print goes to standard error, the log."""
    descriptor = os.dup(1)
    os.dup2(2, 1)
    return Outbox(os.fdopen(descriptor, "w", encoding="utf-8"))


def _unexpected(error: Exception) -> dict[str, str]:
    """Describe an error nobody raised on purpose; its text may hold paths, so only its name is told."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return {
            "code": "out_of_memory",
            "detail": "The job needed more memory than the worker has.",
            "hint": "Choose smaller batches in the recipe, or a worker with more memory.",
        }
    return {
        "code": "internal_error",
        "detail": f"The job stopped with an unexpected {type(error).__name__}.",
        "hint": "The worker's log has the details; report it with the job's id.",
    }


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1]), stage_function))
