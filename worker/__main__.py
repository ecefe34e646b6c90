"""Start a worker or the scheduler.

python -m worker run --queues inspect,upkeep
python -m worker run --queues cpu --threads 4
python -m worker beat
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from app.core.settings import Settings
from app.infra.queue import QUEUES
from worker.celery_app import create_scheduler, create_worker


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and run until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m worker", description=__doc__)
    parser.add_argument("--log-level", default="INFO")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="take jobs, one at a time")
    run.add_argument("--queues", default="cpu", help=f"some of {','.join(QUEUES)}")
    run.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="for one job")
    run.add_argument("--name", default="worker", help="tells workers of one host apart")
    commands.add_parser("beat", help="send the upkeep tick")
    given = parser.parse_args(arguments)
    settings = Settings()
    if given.command == "beat":
        # In memory: the default keeps a file in the working directory, for one entry that never changes.
        memory = "celery.beat:Scheduler"
        create_scheduler(settings).start(["beat", "--loglevel", given.log_level, "--scheduler", memory])
        return
    app = create_worker(settings, threads=given.threads)
    app.worker_main(worker_arguments(given.queues, given.name, given.log_level))


def worker_arguments(queues: str, name: str, log_level: str) -> list[str]:
    """Choose Celery's options: no pool of its own, since every job gets a process, and no chatter."""
    return [
        "worker",
        *("--pool", "solo"),
        *("--queues", queues),
        *("--hostname", f"{name}@%h"),
        *("--loglevel", log_level),
        "--without-gossip",
        "--without-mingle",
        "--without-heartbeat",
    ]


if __name__ == "__main__":
    main()
