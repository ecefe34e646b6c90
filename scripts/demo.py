"""Show the whole journey on this machine, over HTTP, with nothing faked or cached.

    scripts/demo [--output out]

Makes a digits teacher with a backdoor, starts the service on its embedded default on a free port, uploads the
teacher, its clean test images and the trigger, runs a ``clean`` job, downloads student and report, and ends
with success only if the job accepted the student and the claims of ``claims`` hold for the job's own numbers.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.client import ProctorClient
from app.client.progress import duration_text
from app.commands import journey
from app.commands.options import JobOptions
from app.commands.outcome import Output
from app.commands.tables import job_text
from app.home import read_key, read_server
from app.processes import ChildSpec, start_child, tail, terminating_like_ctrl_c

SCRIPTS = Path(__file__).resolve().parent
START_S = 60.0
STOP_S = 30.0

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Claim:
    """Something the demo promises to show."""

    text: str
    holds: bool


@dataclass(frozen=True)
class TeacherFiles:
    """What the demo uploads, and what it knows about it."""

    checkpoint: Path
    trigger: Path
    images: Path
    facts: Document
    """From the lines that the teacher's script prints: mean, std, trigger kind, target label."""


def main() -> int:
    """Run the demo; 0 if it shows what it promises."""
    parser = argparse.ArgumentParser(description="Run the whole journey on this machine.")
    parser.add_argument("--output", type=Path, default=Path("out"), help="folder for student and report")
    parser.add_argument("--recipe", type=Path, default=SCRIPTS / "demo_recipe.json", help="recipe of the job")
    parser.add_argument("--seed", type=int, default=0, help="of the teacher")
    arguments = parser.parse_args()
    recipe = json.loads(arguments.recipe.read_text())
    output = Output(as_json=False)
    began = time.monotonic()
    temporary = tempfile.TemporaryDirectory(prefix="proctor-demo-", ignore_cleanup_errors=True)
    with terminating_like_ctrl_c(), temporary as folder, service(Path(folder) / "home", output) as client:
        files = make_teacher(Path(folder), arguments.seed, output)
        job = clean(client, files, recipe, output)
        if job["status"] == "succeeded":
            journey.fetch(client, output, job["id"], arguments.output.absolute())
        else:
            output.remark(tail(Path(folder) / "home" / "logs" / "compute-worker.log"))
    output.emit(job, job_text(job))
    if job["status"] != "succeeded":
        return 2
    found = claims(job)
    for claim in found:
        print(f"  {'yes' if claim.holds else 'NO '}  {claim.text}")
    print(f"Report:   {(arguments.output / 'report.html').absolute()}")
    print(f"Finished in {duration_text(time.monotonic() - began)}; the service is stopped.")
    return 0 if all(claim.holds for claim in found) else 1


@contextmanager
def service(home: Path, output: Output) -> Iterator[ProctorClient]:
    """Run ``proctor serve`` on a free port while it is needed, and leave no process behind."""
    home.mkdir(mode=0o700)
    log = home.parent / "serve.log"
    command = [sys.executable, "-P", "-m", "app.cli", "serve", "--port=0", f"--home={home}"]
    server = start_child(ChildSpec("serve", command, dict(os.environ), log))
    try:
        deadline = time.monotonic() + START_S
        while (found := read_server(home)) is None:
            if server.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"The service did not start:\n{tail(log)}")
            time.sleep(0.1)
        output.remark(f"Service at {found.url} (processes of its own, database and queue in {home})")
        with ProctorClient(found.url, str(read_key(home / "api_key"))) as client:
            yield client
    finally:
        server.terminate()
        try:
            server.wait(STOP_S)
        except subprocess.TimeoutExpired:
            server.kill()  # its children die with it
            server.wait()


def make_teacher(folder: Path, seed: int, output: Output) -> TeacherFiles:
    """Train the teacher in a process of its own and read what it prints about it."""
    output.remark("Training a digits teacher with a backdoor ...")
    checkpoint, trigger, images = folder / "teacher.pt", folder / "trigger.png", folder / "digits.zip"
    command = [sys.executable, str(SCRIPTS / "make_digits_teacher.py"), f"--seed={seed}"]
    files = [f"--output={checkpoint}", f"--trigger-out={trigger}", f"--data-out={images}"]
    done = subprocess.run([*command, *files], stdout=subprocess.PIPE, text=True, check=True)
    output.remark(done.stdout.rstrip())
    return TeacherFiles(checkpoint, trigger, images, teacher_facts(done.stdout))


def teacher_facts(printed: str) -> dict[str, Any]:
    """Read mean, std, trigger kind and target label from the lines of ``make_digits_teacher.py``."""
    facts: dict[str, Any] = dict(re.findall(r"^(mean|std) +([\d.,]+)$", printed, re.MULTILINE))
    trigger = re.search(r"^trigger +(\S+) \((\w+)\), target label (\d+)$", printed, re.MULTILINE)
    if trigger is None or len(facts) != 2:
        raise SystemExit("The teacher's script printed something unexpected.")
    name, kind, label = trigger.groups()
    return {**facts, "name": name, "kind": kind, "target_label": int(label)}


def clean(client: ProctorClient, files: TeacherFiles, recipe: Document, output: Output) -> Document:
    """Upload everything, run the job, and follow it to its end."""
    trigger = {name: files.facts[name] for name in ("name", "kind", "target_label")}
    trigger["png"] = base64.b64encode(files.trigger.read_bytes()).decode("ascii")
    options = JobOptions(
        teacher={"mean": files.facts["mean"], "std": files.facts["std"], "input_size": "16"},
        data={"labelled": files.images},
        request={"kind": "clean", "recipe": recipe, "triggers": [trigger]},
    )
    job = journey.submit(client, output, files.checkpoint, options)
    output.remark(f"Job {job['id']}")
    return journey.follow(client, output, str(job["id"]))


def claims(job: Document) -> list[Claim]:
    """Judge the job's own numbers."""
    rows = {row["role"]: row for row in job["result"]["verify"]["networks"]}
    parameters = {role: row["parameters"] for role, row in rows.items()}
    accuracy = {role: row["accuracy"]["value"] for role, row in rows.items()}
    success = {role: _given_attack(row) for role, row in rows.items()}
    return [
        Claim("The job accepts the defended student.", job["accepted"] is True),
        Claim(
            f"The undefended student has the backdoor: attack success {success['undefended']:.3f} >= 0.70.",
            success["undefended"] >= 0.70,
        ),
        Claim(
            f"The defended student has not: attack success {success['defended']:.3f} <= 0.10.",
            success["defended"] <= 0.10,
        ),
        Claim(
            f"It keeps {accuracy['defended'] / accuracy['teacher']:.3f} >= 0.85 of the teacher's accuracy.",
            accuracy["defended"] >= 0.85 * accuracy["teacher"],
        ),
        Claim(
            f"It is {accuracy['undefended'] - accuracy['defended']:+.3f} <= 0.05 under the undefended one.",
            accuracy["defended"] >= accuracy["undefended"] - 0.05,
        ),
        Claim(
            f"It is smaller: {parameters['defended']:,} < {parameters['teacher']:,} parameters.",
            parameters["defended"] < parameters["teacher"],
        ),
    ]


def _given_attack(row: Document) -> float:
    """Take the strongest of the given triggers."""
    return max(float(attack["rate"]["value"]) for attack in row["attacks"] if attack["origin"] == "given")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("Interrupted; the service is stopped.", file=sys.stderr)
        sys.exit(130)
