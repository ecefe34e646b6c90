"""What a user is told for every hostile checkpoint: the sentences of ``refusals.txt``.

    python -m tests.hostile.sentences > tests/hostile/refusals.txt

A change of the reader changes a line there, and the reviewer reads what users will.
"""

from __future__ import annotations

import itertools
import re
import tempfile
from pathlib import Path

from models.checkpoints.scan import scan_checkpoint
from models.errors import Rejected
from tests.hostile import CLASSES, HostileClass

#: A class has said everything once so many seeds in a row say nothing new. Large files say little, slowly.
PATIENCE, PATIENCE_WITH_LARGE = 25, 2
LARGE_BYTES = 50_000
#: What decoders say about images is not ours to fix.
CHECKPOINTS = sorted(name for name, hostile in CLASSES.items() if hostile.kind == "checkpoint")


def sentences(hostile: HostileClass, folder: Path) -> list[str]:
    """Return the lines of one class: code, detail, hint; the first of those that differ in numbers only."""
    lines: dict[str, str] = {}
    silent = 0
    for seed in itertools.count():
        content = hostile.seeded(seed)
        line = f"{hostile.name}: {refusal(folder / 'upload', content)}"
        form = re.sub(r"\d[\d,]*", "0", line)
        silent = silent + 1 if form in lines else 0
        lines.setdefault(form, line)
        if silent >= (PATIENCE_WITH_LARGE if len(content) > LARGE_BYTES else PATIENCE):
            break
    return list(lines.values())


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
