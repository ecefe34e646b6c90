"""Audit and clean two public backdoored checkpoints over HTTP, as a user would, and print what was found.

    python benchmarks/clean_public_checkpoints.py [--only NAME] [--method ood] [--output out/public]

The data folder is PROCTOR_SHARED_DATA, or ``shared/data`` beside the repository; its README names sources and
licenses. Bytes are uploaded as published. Per checkpoint: an audit of the checkpoint alone (tier 0), then a
``clean`` job with the default recipe but for ``"defense": "abd_clip"`` (with labelled images ``auto`` would
take RobustKD; here the labels only measure) and the known trigger. Ends with status 1 if a claim does not
hold; a limit on the time, 15 minutes, is of ``--method ood`` alone.
"""

from __future__ import annotations

import argparse
import base64
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts"), str(ROOT / "benchmarks")]

from audit_public_checkpoints import data_folder  # noqa: E402
from demo import service  # noqa: E402

from app.client import ProctorClient  # noqa: E402
from app.commands import journey  # noqa: E402
from app.commands.options import JobOptions  # noqa: E402
from app.commands.outcome import Output  # noqa: E402


@dataclass(frozen=True)
class Public:
    file: str
    target_label: int
    trigger: Mapping[str, Any]
    least_transfer: float | None
    """What the audit's transfer probe must show for the known trigger."""


def checkpoints(folder: Path) -> tuple[Public, ...]:
    watermark = base64.b64encode((folder / "triggers" / "trojan_wm.png").read_bytes()).decode("ascii")
    square = {"name": "square", "catalog": "badnets_square", "target_label": 8}
    return (
        Public(
            "ibau_trojan_wm_2_02_ckpt.pth",
            2,
            {"name": "watermark", "kind": "additive", "target_label": 2, "png": watermark},
            0.95,
        ),
        Public("ibau_badnets_8_02_ckpt.pth", 8, square, None),
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="part of a file name")
    parser.add_argument("--method", choices=["auto", "ood"], default="auto", help="of the students")
    parser.add_argument(
        "--output", type=Path, default=Path("out/public"), help="folder for students and reports"
    )
    options = parser.parse_args()
    folder = data_folder()
    output = Output(as_json=False)
    failed = []
    with tempfile.TemporaryDirectory() as temporary, service(Path(temporary) / "home", output) as client:
        for public in checkpoints(folder):
            if options.only in public.file:
                keep = options.output / Path(public.file).stem
                failed += run_one(client, output, folder, public, keep, options.method)
    print("all claims hold" if not failed else "FAILED: " + "; ".join(failed))
    return 1 if failed else 0


def run_one(
    client: ProctorClient, output: Output, folder: Path, public: Public, keep: Path, method: str
) -> list[str]:
    checkpoint = folder / "teachers" / public.file
    audit, seconds = timed(client, output, checkpoint, {"kind": "audit"}, {})
    named = audit["result"]["probe"]["target_label"]
    print(f"\n{public.file}\n  tier 0 audit: {audit['verdict']}, class {named}, {seconds:.0f} s")
    recipe = {"method": method, "defense": "abd_clip"}
    request = {"kind": "clean", "recipe": recipe, "triggers": [public.trigger]}
    data = {"labelled": folder / "cifar10" / "test.zip"}
    job, seconds = timed(client, output, checkpoint, request, data)
    journey.fetch(client, output, job["id"], keep)
    print(f"  clean job: {job['status']}, accepted {job['accepted']}, {seconds:.0f} s")
    failed = [] if named == public.target_label else [f"{public.file}: audit names {named}"]
    if method == "ood" and seconds > 900:
        failed.append(f"{public.file}: clean job took {seconds:.0f} s")
    for transfer in job["result"]["probe"]["transfers"]:
        success = transfer["student_success"]
        print(f"  transfer of {transfer['trigger']}: {text(success)}, {transfer['images_seen']} images")
        if transfer["trigger"] == public.trigger["name"] and success["value"] < (public.least_transfer or 0):
            failed.append(f"{public.file}: transfer {success['value']:.3f}")
    for row in job["result"]["verify"]["networks"]:
        attacks = ", ".join(f"{a['trigger']} {text(a['rate'])}" for a in row["attacks"])
        print(f"  {row['role']:10} ACC {text(row['accuracy'])}  ASR {attacks}")
    return failed


def timed(
    client: ProctorClient,
    output: Output,
    checkpoint: Path,
    request: Mapping[str, Any],
    data: Mapping[str, Path],
) -> tuple[Mapping[str, Any], float]:
    job = journey.submit(
        client, output, checkpoint, JobOptions(teacher={}, data=dict(data), request=dict(request))
    )
    began = time.monotonic()
    job = journey.follow(client, output, str(job["id"]))
    if job["status"] != "succeeded":
        raise SystemExit(f"The job ended as {job['status']}: {job['error']}")
    return job, time.monotonic() - began


def text(rate: Mapping[str, Any]) -> str:
    return f"{rate['value']:.3f} [{rate['low']:.3f}, {rate['high']:.3f}] n={rate['n']}"


if __name__ == "__main__":
    sys.exit(main())
