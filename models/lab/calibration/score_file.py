"""Scores in a file: one JSON document per line, appended as soon as a network is scored.

A run that is killed while it writes leaves a torn last line; it is ignored and its network is scored again.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

from models.probes.calibration.reference_set import Conditions


class ScoreFile:
    """What was scored so far under the same conditions, on the same images."""

    def __init__(self, path: Path, conditions: Conditions, images_sha256: str | None) -> None:
        """Read what is there; a missing file is an empty one.

        Args:
            path: Of the file; scores under other conditions stay in it and are not looked at.
            conditions: Of the scores.
            images_sha256: Of the clean images, if there are any.
        """
        self.path = path
        self._made_of = json.loads(json.dumps({**asdict(conditions), "images_sha256": images_sha256}))
        self.scores: dict[str, dict[str, float]] = {}
        if path.exists():
            for line in path.read_text("utf-8", "replace").splitlines():
                self._take(line)

    def add(self, sha256: str, scores: dict[str, float]) -> None:
        """Keep a network's scores, on disk before this returns."""
        line = json.dumps({"sha256": sha256, "made_of": self._made_of, "scores": scores}, sort_keys=True)
        with self.path.open("ab") as file:
            file.write(b"\n" + line.encode() + b"\n")  # in front, too: a torn line ends here
            file.flush()
            os.fsync(file.fileno())
        self.scores[sha256] = scores

    def _take(self, line: str) -> None:
        try:
            entry = json.loads(line)
            if entry["made_of"] == self._made_of:
                self.scores[str(entry["sha256"])] = {n: float(s) for n, s in entry["scores"].items()}
        except (ValueError, TypeError, KeyError, AttributeError):
            return
