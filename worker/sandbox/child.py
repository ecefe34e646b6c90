"""The job's own process: enters the sandbox, runs stages, says what happens, and stops when asked to.

python -I -m worker.sandbox.child SCRATCH_FOLDER

All but inspections run in the ``train`` profile. An inspection's process opens no upload itself: it starts
the parser, which enters the ``parse`` profile, and checks what that answers.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from app.core.states import Device, Stage
from models.errors import HostDiskFull, ProctorError, system_error_of
from models.sandbox.bounds import Bounds
from models.sandbox.level import level_of
from models.sandbox.paths import accelerator
from models.sandbox.profiles import TRAIN, confine, require, seal
from worker.child_job import ChildBounds, ChildJob, StageOutput
from worker.context import JobMonitor, Outbox
from worker.resume import ResumeStore

#: PyTorch with its libraries holds about a hundred.
TRAIN_OPEN_FILES = 1024
#: How PyTorch says that its allocator got no memory.
_NO_MEMORY = "can't allocate memory"
#: How Python says that the kernel, or the limit on addresses, allows no further thread.
_NO_THREAD = "can't start new thread"

StageFunction = Callable[[ChildJob, JobMonitor], StageOutput]
FunctionOf = Callable[[Stage], StageFunction]


def stage_function(stage: Stage) -> StageFunction:
    """Load a stage's code, and only that: an inspection loads no torch."""
    function: StageFunction = importlib.import_module(f"worker.stages.{stage}").run
    return function


def enter_sandbox(job: ChildJob, function_of: FunctionOf) -> ChildJob:
    """Lock this process in before it reads a byte that a stranger made; only ``job.json`` was read by now.

    Raises:
        SandboxUnavailable: This machine lacks something, and the job must not run without.
    """
    if Stage.INSPECT in job.stages:
        return job
    on_gpu = job.facts["device"] == Device.GPU
    read, devices = accelerator() if on_gpu else ([], [])
    missing = confine(read=read, write=[job.folder, *devices])
    for stage in job.stages:
        function_of(stage)  # loads torch, which the sealed process could do too, but not before its limits
    missing += seal(TRAIN, train_bounds(job.bounds, on_gpu=on_gpu))
    require(job.bounds.sandbox, missing)
    return replace(job, sandbox=str(level_of(missing)))


def train_bounds(allowed: ChildBounds, *, on_gpu: bool) -> Bounds:
    """Choose the kernel's limits. Processor time has none: the supervisor watches the clock.

    Nor has a GPU job's memory: CUDA reserves more addresses than any machine has memory.
    """
    memory_bytes = allowed.memory_bytes or os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return Bounds(
        memory_bytes=None if on_gpu else memory_bytes,
        file_bytes=allowed.scratch_bytes,
        open_files=TRAIN_OPEN_FILES,
    )


def stay_outside(job: ChildJob, function_of: FunctionOf) -> ChildJob:
    """Enter no sandbox: for tests whose stages compute nothing."""
    del function_of
    return job


def run(
    folder: Path,
    function_of: FunctionOf,
    enter: Callable[[ChildJob, FunctionOf], ChildJob] = stay_outside,
) -> int:
    """Run the stages that are left and return the exit status; say nothing if their code cannot be loaded."""
    outbox = _take_standard_output()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    try:
        try:
            job = enter(ChildJob.read(folder), function_of)
            for stage in job.stages:  # an inspection's, which no sandbox has had loaded
                function_of(stage)
        except ImportError:  # the installation's fault: in silence, the supervisor leaves the job to others
            traceback.print_exc()
            return 1
        _run_stages(job, function_of, outbox, stop)
    except ProctorError as error:
        outbox.say("failed", code=error.code, detail=error.detail[:4096], hint=error.hint[:4096])
        return 0
    except Exception as error:
        with contextlib.suppress(OSError):  # the log lies on a disk that may be full
            traceback.print_exc()
        outbox.say("failed", **_unexpected(error))
        return 1
    outbox.say("done")
    return 0


def _run_stages(job: ChildJob, function_of: FunctionOf, outbox: Outbox, stop: threading.Event) -> None:
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


_SMALLER = "Choose a smaller budget in the recipe, or raise PROCTOR_MAX_SCRATCH_BYTES."
_FORBIDDEN = (
    "sandbox_violation",
    "The job's process was refused a file or a system call, as by its sandbox.",
    "Report it with the job's id.",
)
_LIMITS = {
    errno.EFBIG: ("disk_limit", "The job's files grew larger than allowed.", _SMALLER),
    errno.EMFILE: ("file_limit", "The job's process opened too many files.", "Report it with the job's id."),
    errno.EPERM: _FORBIDDEN,
    errno.EACCES: _FORBIDDEN,
}


def _unexpected(error: Exception) -> dict[str, str]:
    """Describe an error nobody raised on purpose; its text may hold paths, so only its name is told."""
    if (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or _NO_MEMORY in str(error)
    ):
        return {
            "code": "out_of_memory",
            "detail": "The job needed more memory than the worker has.",
            "hint": "Choose smaller batches in the recipe, or a worker with more memory.",
        }
    if _NO_THREAD in str(error):
        return {
            "code": "thread_limit",
            "detail": "The job's process started more threads than it has room for.",
            "hint": "Report it with the job's id.",
        }
    if HostDiskFull.told_by(error):
        full = HostDiskFull()
        return {"code": full.code, "detail": full.detail, "hint": full.hint}
    limit = _LIMITS.get(system_error_of(error) or 0)
    if limit is not None:
        code, detail, hint = limit
        return {"code": code, "detail": detail, "hint": hint}
    return {
        "code": "internal_error",
        "detail": f"The job stopped with an unexpected {type(error).__name__}.",
        "hint": "The worker's log has the details; report it with the job's id.",
    }


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1]), stage_function, enter_sandbox))
