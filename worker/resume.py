"""States to resume from: two generations, checksummed, so that a torn write costs one of them."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from models.engine.monitor import RESUME_FORMAT, ResumeState

GENERATIONS = 2


class ResumeStore:
    """A folder of states, the newest two of each key."""

    def __init__(self, folder: Path) -> None:
        """Use ``folder``, which may hold what an earlier attempt left."""
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def keep(self, key: str, state: ResumeState) -> None:
        """Write a state in place of the older of the two; it is on the disk when this returns."""
        from safetensors.torch import save  # noqa: PLC0415 - inspections never load torch

        number = max((number for number, _ in self._records(key)), default=0) + 1
        weights = save({name: tensor.detach().cpu().contiguous() for name, tensor in state.tensors.items()})
        record = {
            "format": RESUME_FORMAT,
            "number": number,
            "sha256": hashlib.sha256(weights).hexdigest(),
            "values": dict(state.values),
        }
        slot = self._folder / f"{key}-{number % GENERATIONS}"
        # The record goes last: as long as it is the old one, its checksum does not fit the new weights.
        _write(slot.with_suffix(".safetensors"), weights)
        _write(slot.with_suffix(".json"), json.dumps(record).encode())

    def newest(self, key: str) -> ResumeState | None:
        """Return the newest state that is whole and of this format, or None."""
        from safetensors.torch import load  # noqa: PLC0415

        for _, slot in sorted(self._records(key), reverse=True):
            record = json.loads(slot.read_bytes())
            weights = _read(slot.with_suffix(".safetensors"))
            if hashlib.sha256(weights).hexdigest() == record["sha256"]:
                return ResumeState(load(weights), record["values"])
        return None

    def _records(self, key: str) -> list[tuple[int, Path]]:
        """Return the records that are whole and that this version can read, with their numbers."""
        found = []
        for path in self._folder.glob(f"{key}-*.json"):
            try:
                record = json.loads(path.read_bytes())
            except ValueError:  # torn; the other generation is whole
                continue
            match record:
                case {"format": format_, "number": int(number), "sha256": str(), "values": dict()}:
                    if format_ == RESUME_FORMAT:
                        found.append((number, path))
        return found


def _write(path: Path, content: bytes) -> None:
    writing = path.with_suffix(path.suffix + ".writing")
    try:
        with writing.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        writing.replace(path)
    finally:  # on a full disk, half a state would take the room of the next attempt
        writing.unlink(missing_ok=True)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
