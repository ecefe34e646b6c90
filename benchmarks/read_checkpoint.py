"""Measure the reader: time against hashing the same bytes, and peak memory against their size.

A wide residual network of about 100 MB is written in the three formats that are accepted. Each is then read
in a fresh process, from the file to the canonical file and the inspection, the file being in the page cache.
Memory is the process's high-water mark (VmHWM): interpreter, libraries and the mapped file included.
``isolated`` is what a user waits for: with the start of the sandboxed process.

    python benchmarks/read_checkpoint.py
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from models.checkpoints.digest import Digester
from models.checkpoints.inspect import InspectOptions, inspect_checkpoint
from models.checkpoints.isolated import inspect_isolated
from models.recipes.architecture import ArchitectureSpec

NETWORK = ArchitectureSpec("wrn-28-8", 100)
MIB = 1024 * 1024


def write_checkpoints(folder: Path) -> list[Path]:
    """Write one network in every format."""
    import safetensors.torch  # noqa: PLC0415 - here, so that the measured process holds no torch
    import torch  # noqa: PLC0415

    from models.architectures import build  # noqa: PLC0415

    torch.manual_seed(0)
    tensors = build(NETWORK).state_dict()
    paths = [folder / name for name in ("torch_zip", "torch_legacy", "safetensors")]
    torch.save(tensors, paths[0])
    torch.save(tensors, paths[1], _use_new_zipfile_serialization=False)
    safetensors.torch.save_file(tensors, paths[2])
    return paths


def fastest_s(action: Callable[[], object], repeats: int) -> float:
    """Return the shortest of several runs: what the machine can do when nothing disturbs it."""
    best = float("inf")
    for _ in range(repeats):
        began = time.perf_counter()
        action()
        best = min(best, time.perf_counter() - began)
    return best


def read_here(path: Path, repeats: int) -> dict[str, float]:
    """Measure in this process, which must be fresh for its high-water mark to mean anything."""
    digester = Digester()
    digester.start()
    out_path = path.with_suffix(".out")
    seconds = fastest_s(
        lambda: inspect_checkpoint(path, out_path, InspectOptions(), digester=digester), repeats
    )
    peak_kib = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    assert peak_kib is not None, "Linux says so"
    content = path.read_bytes()
    hashed_s = fastest_s(lambda: hashlib.sha256(content), repeats)
    return {"read_s": seconds, "sha256_s": hashed_s, "peak_bytes": int(peak_kib[1]) * 1024}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--here", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        print(json.dumps(read_here(arguments.here, arguments.repeats)))
        return
    with tempfile.TemporaryDirectory() as folder:
        for path in write_checkpoints(Path(folder)):
            command = [sys.executable, __file__, f"--here={path}", f"--repeats={arguments.repeats}"]
            measured = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
            isolated_s = fastest_s(
                lambda path=path: inspect_isolated(path, path.with_suffix(".out"), InspectOptions()),
                arguments.repeats,
            )
            size_bytes = path.stat().st_size
            print(
                f"{path.name:12}  {size_bytes / MIB:.1f} MiB   SHA-256 {measured['sha256_s']:.3f} s   "
                f"read {measured['read_s']:.3f} s = {measured['read_s'] / measured['sha256_s']:.2f} x   "
                f"isolated {isolated_s:.3f} s   peak {measured['peak_bytes'] / MIB:.0f} MiB = "
                f"{measured['peak_bytes'] / size_bytes:.2f} x"
            )


if __name__ == "__main__":
    main()
