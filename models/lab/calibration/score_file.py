"""Scores in a file, appended as soon as a network is scored."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from models.lab.json_lines import append_line, read_lines
from models.probes.calibration.reference_set import Conditions
from models.probes.calibration.score import Scores
from models.recipes.architecture import Normalization


class ScoreFile:
    """What was scored so far under the same conditions, on the same images, behind the same normalization."""

    def __init__(
        self, path: Path, conditions: Conditions, images_sha256: str | None, normalization: Normalization
    ) -> None:
        """Read what is there; a missing file is an empty one.

        Args:
            path: Of the file; scores under other conditions stay in it and are not looked at.
            conditions: Of the scores.
            images_sha256: Of the clean images, if there are any.
            normalization: Of the networks to be looked up or kept: the same weights behind another one are
                another network.
        """
        self.path = path
        made_of = asdict(conditions) | {
            "images_sha256": images_sha256,
            "normalization": asdict(normalization),
        }
        self._made_of = json.loads(json.dumps(made_of))
        self.scores: dict[str, Scores] = {}
        for entry in read_lines(path):
            self._take(entry)

    def add(self, sha256: str, scores: Scores) -> None:
        """Keep a network's scores, on disk before this returns."""
        append_line(self.path, {"sha256": sha256, "made_of": self._made_of, **asdict(scores)})
        self.scores[sha256] = scores

    def _take(self, entry: Any) -> None:
        try:
            if entry["made_of"] == self._made_of:
                self.scores[str(entry["sha256"])] = Scores(
                    {name: float(score) for name, score in entry["scores"].items()},
                    {name: tuple(map(float, each)) for name, each in entry["profiles"].items()},
                )
        except (ValueError, TypeError, KeyError, AttributeError):
            return
