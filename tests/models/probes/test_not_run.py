from dataclasses import replace

import pytest

from models.errors import TrainingFailed
from models.metrics import wilson
from models.probes.findings import Findings
from models.probes.not_run import could_not_run, why_not_run
from models.results.audit import ChannelResult, ProbeResult, TriggerReport

MARGINS = ProbeResult("mmbd", "Looked.", 3, 0.5, False)
FOUND = TriggerReport("x", "recovered", "replace", 3, wilson(9, 9), wilson(0, 9), 0.02, "clean images")
ASKED = Findings((MARGINS,), (FOUND,), (), (), frozenset())
UNFIT = ChannelResult("vanilla", "not_tested", 0.0, "There are no clean images.")


@pytest.mark.parametrize(
    "findings, reason",
    [
        (ASKED, "it was not asked for (probe.transfer)"),
        (replace(ASKED, channels=(UNFIT,)), "no student came out of the channels asked for"),
        (replace(ASKED, triggers=()), "no trigger was found or given that it could follow"),
        (replace(ASKED, failures=("The transfer probe could not run: x.",)), "what stopped it is said above"),
        (replace(ASKED, probes=()), "the margin probe, which goes first, gave no result"),
    ],
)
def test_why_no_trigger_was_followed(findings: Findings, reason: str) -> None:
    assert why_not_run("transfer", findings) == reason


@pytest.mark.parametrize("name", ["trigger_inversion", "universal_perturbation"])
def test_without_margins_no_classes_are_compared(name: str) -> None:
    assert "gave no result" in why_not_run(name, replace(ASKED, probes=()))
    assert why_not_run("mmbd", replace(ASKED, probes=())) == "what stopped it is said above"


@pytest.mark.parametrize("name", ["trigger_inversion", "universal_perturbation"])
def test_what_broke_a_comparison_is_not_put_down_to_the_budget(name: str) -> None:
    broke = could_not_run(name, TrainingFailed("No numbers."))
    assert why_not_run(name, replace(ASKED, failures=(broke,))) == "what stopped it is said above"


def test_budget_quick_compares_no_classes_by_perturbation() -> None:
    assert why_not_run("universal_perturbation", ASKED).startswith("budget quick compares")
