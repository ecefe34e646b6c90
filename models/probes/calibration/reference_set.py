"""A set of clean reference networks: what each scored, under which conditions. Scores only, no weights."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Literal

from models.recipes.ood import PatchStyle
from models.recipes.probe import Budget

SCHEMA, SCHEMA_VERSION = "proctor.calibration", 3

ImageTier = Literal["patches", "patches of given photographs", "inverted images", "clean images"]
#: Photographs that one user gave are nobody else's.
SCORED_ON: tuple[ImageTier, ...] = ("patches", "inverted images", "clean images")


@dataclass(frozen=True)
class Conditions:
    """Under what scores were taken; scores taken under different ones cannot be compared.

    Normalization is no part of it: every probe works on pixels in [0, 1].
    """

    architecture: str
    """Registry name."""
    num_classes: int
    input_size: int
    """Side in pixels."""
    images: ImageTier
    """What the probes searched on."""
    searched: int
    """On how many of them classes were compared."""
    patch_style: PatchStyle | None
    """How patches look; None with clean images."""
    budget: Budget
    effort: dict[str, int]
    """What the budget stood for: steps and sizes of every search."""
    scoring_version: int
    """Rises when a probe's score changes its meaning."""


@dataclass(frozen=True)
class Reference:
    """One clean network."""

    sha256: str
    """Of its canonical weights."""
    kind: str
    """What was done to it: plain, fine-tuned, pruned, adversarially trained, label-smoothed, long-tailed."""
    note: str
    """What it is, in words."""
    scores: dict[str, float]
    """By probe; larger is more conspicuous."""
    profiles: dict[str, tuple[float, ...]] = field(default_factory=dict)
    """By probe, of every class; larger is more conspicuous (``models.probes.calibration.profile``)."""


@dataclass(frozen=True)
class ReferenceSet:
    """Clean networks, all scored by the same probes under the same conditions."""

    name: str
    conditions: Conditions
    probes: tuple[str, ...]
    references: tuple[Reference, ...]
    task: str | None = None
    """What the classes are and how they are ordered, in a word, such as ``cifar10``. Audits that name the
    same one are compared class by class."""

    @cached_property
    def sha256(self) -> str:
        """Of everything in it, however the file is laid out."""
        text = json.dumps(self._content(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def document(self) -> dict[str, Any]:
        """Return what the file holds."""
        return {**self._content(), "sha256": self.sha256}

    def _content(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "name": self.name,
            "task": self.task,
            "conditions": asdict(self.conditions),
            "probes": list(self.probes),
            "references": [asdict(reference) for reference in self.references],
        }
