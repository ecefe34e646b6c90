from dataclasses import replace

import pytest

from models.data.bundle import AuditData
from models.metrics import wilson
from models.probes.advice import give_advice
from models.probes.findings import Findings
from models.recipes.probe import ProbeRecipe
from models.results.audit import BackdoorVerdict, Hazard, TriggerReport
from models.results.calibration import CalibrationResult


def findings(*triggers: TriggerReport, calibration: CalibrationResult | None = None) -> Findings:
    return Findings((), triggers, (), (), frozenset(), calibration)


@pytest.mark.parametrize("given", [False, True])
def test_a_recovered_pattern_is_called_no_given_trigger(given: bool) -> None:
    report = TriggerReport("x", "given", "replace", 3, wilson(9, 9), wilson(0, 9), 0.02, "clean images")
    found = findings(report) if given else findings(replace(report, origin="recovered"))
    lines = give_advice("not_detected", "low", AuditData(), ProbeRecipe(), found)
    (line,) = (line for line in lines if "recovered from this network" in line)
    assert line.startswith("If a trigger is suspected, give it") is not given


@pytest.mark.parametrize(
    ("verdict", "hazard", "first"),
    [
        ("detected", "high", "Do not deploy this network"),
        ("suspected", "low", "Do not deploy this network"),
        ("inconclusive", "low", "Until this is settled, do not deploy this network"),
        ("not_detected", "high", "Distill from this network only with a defense"),
        ("not_detected", "low", "Give at least"),
    ],
)
def test_what_to_do_comes_before_what_to_give(verdict: BackdoorVerdict, hazard: Hazard, first: str) -> None:
    advice = give_advice(verdict, hazard, AuditData(), ProbeRecipe(), findings())
    assert advice[0].startswith(first)
    assert any("clean images" in line for line in advice)
