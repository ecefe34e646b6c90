"""What a user is told for every hostile checkpoint: the sentences of ``refusals.txt``.

    python -m tests.hostile.sentences > tests/hostile/refusals.txt

A change of the reader changes a line there, and the reviewer reads what users will.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from models.checkpoints.scan import scan_checkpoint
from models.errors import Rejected
from tests.hostile import CLASSES, HostileClass

SEEDS = range(6)
#: What decoders say about images is not ours to fix.
CHECKPOINTS = sorted(name for name, hostile in CLASSES.items() if hostile.kind == "checkpoint")


def sentences(hostile: HostileClass, folder: Path) -> list[str]:
    """Return a line for every seed, with code, detail and hint; equal lines once."""
    lines = dict.fromkeys(refusal(folder / "upload", hostile.seeded(seed)) for seed in SEEDS)
    return [f"{hostile.name}: {line}" for line in lines]


def refusal(path: Path, content: bytes) -> str:
    """Return what is said about one file."""
    path.write_bytes(content)
    try:
        scan_checkpoint(path)
    except Rejected as error:
        return f"{error.code}: {error.detail} | {error.hint}"
    return "accepted"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        for name in CHECKPOINTS:
            print("\n".join(sentences(CLASSES[name], Path(temporary))))
