"""Reference sets out of simulated scores."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np

from models.data.bundle import AuditData
from models.probes.calibration.conditions import conditions_of
from models.probes.calibration.reference_set import Conditions, Reference, ReferenceSet
from models.recipes.architecture import ArchitectureSpec
from models.recipes.job import Recipe

PROBES = ("mmbd", "trigger_inversion", "universal_perturbation")


def conditions(**changes: object) -> Conditions:
    found = conditions_of(ArchitectureSpec("wrn-16-1", 10, 16), AuditData(), Recipe())
    return replace(found, **changes)


def reference(number: int, **scores: float) -> Reference:
    sha256 = hashlib.sha256(str(number).encode()).hexdigest()
    return Reference(sha256, "plain", f"network {number}", scores)


def made_set(
    n: int, *, name: str = "simulated", probes: tuple[str, ...] = PROBES, **changes: object
) -> ReferenceSet:
    """Make a set of n networks whose scores are spread between 0 and 0.4."""
    random = np.random.default_rng(n)
    references = tuple(
        reference(number, **{probe: float(random.uniform(0, 0.4)) for probe in probes}) for number in range(n)
    )
    return ReferenceSet(name, conditions(**changes), probes, references)
