"""Why a probe did not run, as far as the findings show it."""

from __future__ import annotations

from models.errors import TrainingFailed
from models.probes.findings import Findings
from models.recipes.probe_catalog import find_probe

_SAID_ABOVE = "what stopped it is said above"


def could_not_run(name: str, problem: TrainingFailed) -> str:
    """Say that a comparison of classes broke, as a sentence among the failures."""
    return f"{_broken(name)}: {problem.detail}"


def _broken(name: str) -> str:
    return f"{find_probe(name).title} could not run"


def why_not_run(name: str, findings: Findings) -> str:
    """Say it as the end of a sentence.

    Args:
        name: Of a probe of backdoors that is not among the findings.
        findings: All that was measured, the failures included, which stand first in the list.
    """
    if name == "mmbd":
        return _SAID_ABOVE
    if name == "given_trigger":
        return "no trigger was given that could be measured"
    if all(probe.probe != "mmbd" for probe in findings.probes):
        return "the margin probe, which goes first, gave no result"
    if name == "transfer":
        return _why_nothing_was_followed(findings)
    if any(line.startswith(_broken(name)) for line in findings.failures):
        return _SAID_ABOVE
    return (
        "budget quick compares the classes by patch alone. A perturbation is still recovered for each class "
        "that is suspected, or else for the first by margin"
    )


def _why_nothing_was_followed(findings: Findings) -> str:
    if any(told.reason for told in findings.channels):
        return "no student came out of the channels asked for"
    if any(line.startswith("The transfer probe could not run") for line in findings.failures):
        return _SAID_ABOVE
    if not findings.triggers:
        return "no trigger was found or given that it could follow"
    return "it was not asked for (probe.transfer)"
