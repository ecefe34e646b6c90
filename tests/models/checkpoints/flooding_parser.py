"""A parser that was taken over: enters the sandbox as the real one does, then takes all it can get."""

from __future__ import annotations

import os
from pathlib import Path

from models.checkpoints.child import Document, answer_request, lock_in
from models.sandbox.bounds import Bounds


def memory(_folder: Path) -> None:
    hoard = []
    while True:
        hoard.append(bytearray(1 << 24))


def processor(_folder: Path) -> None:
    while True:
        pass


def disk(folder: Path) -> None:
    with (folder / "flood").open("wb", buffering=0) as file:
        while True:
            if file.write(bytes(1 << 20)) < 1 << 20:
                file.write(b"1")


def output(_folder: Path) -> None:
    while True:
        os.write(1, b"x" * 65536)


def descriptors(folder: Path) -> None:
    hoard = []
    while True:
        hoard.append((folder / "one").open("wb"))


def sleep(_folder: Path) -> None:
    os.read(os.pipe()[0], 1)  # nobody writes


FLOODS = {flood.__name__: flood for flood in (memory, processor, disk, output, descriptors, sleep)}


def handle(request: Document) -> Document:
    folder = Path(request["folder"])
    bounds = Bounds(file_bytes=4 << 20, open_files=32, memory_bytes=256 << 20, cpu_s=1)
    lock_in(request, read=folder, write=folder, bounds=bounds)
    if request["flood"]:
        FLOODS[request["flood"]](folder)
    return {"done": True}


if __name__ == "__main__":
    answer_request(handle)
