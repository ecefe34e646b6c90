"""The processes of the embedded default: how each is started on one machine with nothing but pip."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from app.core.settings import Settings
from app.processes import ChildSpec

#: ``-P`` keeps the working directory off the import path, where any folder called ``worker`` would hide ours.
_WORKER = (sys.executable, "-P", "-m", "worker")


def usable_cores() -> int:
    """Count the cores this process may use, not those the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def compute_threads() -> int:
    """Count the threads a job gets by default: all usable cores, or fewer if ``OMP_NUM_THREADS`` says so.

    The numeric libraries' own variable is how a user says that the machine has other work to do.
    """
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return min(usable_cores(), int(wanted)) if wanted.isdecimal() and int(wanted) > 0 else usable_cores()


def worker_command(queues: Sequence[str], *, name: str, threads: int) -> list[str]:
    """Give the command of a worker that does one job at a time from ``queues`` on ``threads`` threads.

    The thread counts matter: two computing processes that each take all cores slow each other ten-fold
    (measured on two cores).
    """
    return [*_WORKER, "run", f"--queues={','.join(queues)}", f"--threads={threads}", f"--name={name}"]


def scheduler_command() -> list[str]:
    """Give the command of the process that sends the upkeep tick; run exactly one per database."""
    return [*_WORKER, "beat"]


def child_environment(settings: Settings) -> dict[str, str]:
    """Hand the settings on through the environment."""
    return {
        **os.environ,
        "PROCTOR_HOME": str(settings.home),
        "PROCTOR_DATABASE_URL": settings.database_url,
        "PROCTOR_BROKER_URL": settings.broker_url,
        "PROCTOR_BLOB_URL": settings.blob_url,
        "PROCTOR_SANDBOX": settings.sandbox,
        "PYTHONUNBUFFERED": "1",
    }


def make_child(settings: Settings, name: str, command: Sequence[str]) -> ChildSpec:
    """Describe a child whose output goes to ``HOME/logs``, and which runs in the home folder."""
    folder = settings.make_home() / "logs"
    folder.mkdir(mode=0o700, exist_ok=True)
    return ChildSpec(
        name,
        command,
        child_environment(settings),
        log_path=folder / f"{name}.log",
        folder=settings.home,
    )


def background_children(settings: Settings) -> list[ChildSpec]:
    """Describe all that must run for jobs to be done: two workers and the scheduler.

    Uploads are inspected by a worker of their own, so that they do not wait behind an hour of training. The
    other one takes jobs for a GPU too: where there is none, they fail with ``gpu_missing`` instead of waiting
    for ever.
    """
    inspecting = worker_command(["inspect", "upkeep"], name="inspect", threads=1)
    computing = worker_command(["cpu", "gpu"], name="compute", threads=compute_threads())
    return [
        make_child(settings, "inspect-worker", inspecting),
        make_child(settings, "compute-worker", computing),
        make_child(settings, "scheduler", scheduler_command()),
    ]
