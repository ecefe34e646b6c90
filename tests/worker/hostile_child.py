"""A job's process that was taken over: enters the sandbox as the real one does, then takes all it can get.

The job's recipe says what: ``attack`` is one of ``ATTACKS``, or "" for an honest job.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

from app.core.states import Stage
from worker.child_job import ChildJob, OutputFile, StageOutput
from worker.context import JobMonitor
from worker.sandbox import child


def memory(job: ChildJob, monitor: JobMonitor) -> None:
    hoard = []
    while True:
        hoard.append(bytearray(1 << 24))


def processor(job: ChildJob, monitor: JobMonitor) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        pass


def one_file(job: ChildJob, monitor: JobMonitor) -> None:
    with job.out("flood").open("wb", buffering=0) as file:
        while file.write(bytes(1 << 20)):
            pass


def many_files(job: ChildJob, monitor: JobMonitor) -> None:
    for number in range(10**9):
        job.out(f"flood-{number}").write_bytes(bytes(1 << 20))
        time.sleep(0.01)  # a disk that is shared with other tests


def output(job: ChildJob, monitor: JobMonitor) -> None:
    while True:
        monitor._outbox.say("log", text="x" * 4096)


def beginnings(job: ChildJob, monitor: JobMonitor) -> None:
    for _ in range(20_000):
        monitor._outbox.say("stage", stage="probe")


def nonsense(job: ChildJob, monitor: JobMonitor) -> None:
    for stage, result in (("probe", {"probes": [{}]}), ("report", {})):
        if stage == "report":
            monitor._outbox.say("stage", stage=stage)
        monitor._outbox.say("stage_done", stage=stage, result=result, files=[])
    monitor._outbox.say("done")
    os._exit(0)


def endless_line(job: ChildJob, monitor: JobMonitor) -> None:
    while True:
        monitor._outbox._stream.write("x" * 65536)


def descriptors(job: ChildJob, monitor: JobMonitor) -> None:
    hoard = []
    while True:
        hoard.append(job.out("one").open("wb"))


def threads(job: ChildJob, monitor: JobMonitor) -> None:
    threading.stack_size(65536)
    while True:
        threading.Thread(target=time.sleep, args=(600,), daemon=True).start()


def read_outside(job: ChildJob, monitor: JobMonitor) -> None:
    (job.folder / ".." / ".." / ".." / "proctor.db").read_bytes()


def fork_bomb(job: ChildJob, monitor: JobMonitor) -> None:
    while True:
        os.fork()


ATTACKS = {
    attack.__name__: attack
    for attack in (
        memory,
        processor,
        one_file,
        many_files,
        output,
        beginnings,
        nonsense,
        endless_line,
        descriptors,
        threads,
        read_outside,
        fork_bomb,
    )
}


def probe(job: ChildJob, monitor: JobMonitor) -> StageOutput:
    attack = ATTACKS.get(job.recipe["attack"])
    if attack is not None:
        attack(job, monitor)
    path = job.out("audit.json")
    path.write_text(job.sandbox)
    result = {"verdict": "not_detected", "target_label": None, "probes": []}
    return StageOutput(result, (OutputFile(path.name, "application/json", path),))


def report(job: ChildJob, monitor: JobMonitor) -> StageOutput:
    path = job.out("report.html")
    path.write_text("<p>")
    return StageOutput({}, (OutputFile(path.name, "text/html", path),))


FUNCTIONS = {Stage.PROBE: probe, Stage.REPORT: report}

if __name__ == "__main__":
    sys.exit(child.run(Path(sys.argv[1]), FUNCTIONS.__getitem__, child.enter_sandbox))
