"""A job's process on a machine without Landlock, as far as it can tell."""

from __future__ import annotations

import sys
from pathlib import Path

from app.core.states import Stage
from models.sandbox import landlock
from worker.child_job import ChildJob, StageOutput
from worker.context import JobMonitor
from worker.sandbox import child


def stage(job: ChildJob, monitor: JobMonitor) -> StageOutput:
    return StageOutput({})


def refuse(**_paths: object) -> None:
    raise OSError("not on this machine")


FUNCTIONS = {Stage.PROBE: stage, Stage.REPORT: stage}

if __name__ == "__main__":
    landlock.restrict = refuse
    sys.exit(child.run(Path(sys.argv[1]), FUNCTIONS.__getitem__, child.enter_sandbox))
