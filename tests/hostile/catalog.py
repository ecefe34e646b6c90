"""The catalogue of hostile files: one function per class, made anew from every seed.

To add a class, write a function in the module of its layer::

    @hostile("zip_overlap")
    def zip_gap(chance: random.Random) -> bytes:
        \"\"\"Bytes that no member owns, between two members.\"\"\"
        ...

It is then tried with ten seeds against the reader (``test_refused``), with one against the sandboxed process,
and by ``python -m tests.hostile.attack`` against a running service. See ``README.md`` beside this file.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Make = Callable[[random.Random], bytes]
Kind = Literal["checkpoint", "archive"]


@dataclass(frozen=True)
class HostileClass:
    """One way to do harm.

    Attributes:
        name: The function's name.
        code: The code it must be refused with.
        kind: What it is uploaded as.
        amplifies: Whether at most 4 kB of file ask for at least 1 GiB of memory.
        make: Writes a file of the class.
    """

    name: str
    code: str
    kind: Kind
    amplifies: bool
    make: Make

    def seeded(self, seed: int) -> bytes:
        """Write the file of one seed; the same seed gives the same bytes."""
        return self.make(random.Random(f"{self.name} {seed}"))


CLASSES: dict[str, HostileClass] = {}


def hostile(code: str, *, kind: Kind = "checkpoint", amplifies: bool = False) -> Callable[[Make], Make]:
    """Put a function into the catalogue.

    Args:
        code: The code its files are refused with: a key of ``CODES`` or ``DATA_CODES``.
        kind: Whether it is uploaded as a checkpoint or as a set of images.
        amplifies: Its files have at most 4 kB and ask for at least 1 GiB.
    """

    def register(make: Make) -> Make:
        name = make.__name__
        assert name not in CLASSES, f"two classes are called {name}"
        CLASSES[name] = HostileClass(name, code, kind, amplifies, make)
        return make

    return register
