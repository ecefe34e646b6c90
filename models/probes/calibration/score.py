"""Score a clean network as the audit scores a suspect: with the same functions and the same effort."""

from __future__ import annotations

from dataclasses import dataclass

from models.checkpoints.load import Teacher
from models.data.bundle import AuditData
from models.engine.monitor import Monitor
from models.errors import TrainingFailed
from models.probes.audit import run_scored_probes
from models.probes.calibration.profile import class_profile
from models.recipes.job import Recipe


@dataclass(frozen=True)
class Scores:
    """What one network scores."""

    scores: dict[str, float]
    """By probe."""
    profiles: dict[str, tuple[float, ...]]
    """By probe, of every class, where all classes were compared."""


def score_teacher(teacher: Teacher, data: AuditData, recipe: Recipe, monitor: Monitor) -> Scores:
    """Return the scores of every probe that takes part in the calibrated verdict.

    Give every network a seed of its own (``reference_seed``): then scores vary among references as they do
    among audits, also where chance has a part in them.

    Args:
        teacher: A network known to be clean.
        data: What audits of its kind will have: nothing, or clean images.
        recipe: Budget, patch style and seed count; the rest is not looked at.
        monitor: Told of every step.

    Raises:
        Interrupted: The monitor asked to stop.
        TrainingFailed: A probe could not run (code ``probe_failed``): the network is no reference.
    """
    probes, failures = run_scored_probes(teacher, data, recipe, monitor)
    scores = {probe.probe: probe.statistic for probe in probes if probe.statistic is not None}
    if failures or len(scores) != len(probes):
        raise TrainingFailed(" ".join(failures) or "A probe gave no score.", code="probe_failed")
    profiles = {probe.probe: class_profile(probe) for probe in probes}
    return Scores(scores, {name: profile for name, profile in profiles.items() if profile})


def reference_seed(sha256: str) -> int:
    """Derive the seed of a reference's probes from the SHA-256 of its weights."""
    return int(sha256[:7], 16)
