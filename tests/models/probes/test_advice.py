from dataclasses import replace

import pytest
import torch

from models.data.bundle import AuditData
from models.metrics import wilson
from models.probes.advice import give_advice
from models.probes.findings import Findings
from models.recipes.probe import ProbeRecipe, Surrogates
from models.results.audit import BackdoorVerdict, Hazard, TransferResult, TriggerReport
from models.results.calibration import CalibrationResult


def findings(*triggers: TriggerReport, calibration: CalibrationResult | None = None) -> Findings:
    return Findings((), triggers, (), (), frozenset(), calibration)


DECIDES = CalibrationResult("Of 19 none.", 0.05, references=19, p_value=0.05, band=(0.003, 0.146))
TOO_FEW = CalibrationResult("Of 18 none.", 0.05, references=18, p_value=0.053)


@pytest.mark.parametrize("calibration", [None, CalibrationResult("None fits.", 0.05), TOO_FEW])
def test_where_no_references_decide_they_are_the_advice(calibration: CalibrationResult | None) -> None:
    lines = give_advice("suspected", "low", AuditData(), ProbeRecipe(), findings(calibration=calibration))
    assert any("(proctor calibrate): beside 19 of them or more, `detected` is" in line for line in lines)
    assert not any("photographs" in line for line in lines)
    assert not any("do not fit" in line for line in lines)


@pytest.mark.parametrize(("images", "told"), [(49, True), (50, False)])
def test_no_references_are_promised_to_an_audit_on_given_photographs(images: int, told: bool) -> None:
    """No set is scored on them: whoever has references made would find that out afterwards."""
    pixels = torch.zeros(images, 3, 8, 8, dtype=torch.uint8)
    data = AuditData(images=pixels, photographs=[torch.zeros(3, 64, 64, dtype=torch.uint8)])
    lines = give_advice("suspected", "low", data, ProbeRecipe(), findings())
    assert any("None can be scored on patches of your photographs" in line for line in lines) is told


def test_what_would_lose_the_references_is_said() -> None:
    lines = give_advice("suspected", "low", AuditData(), ProbeRecipe(), findings(calibration=DECIDES))
    images, inverted, budget = (
        line for line in lines if "The clean references of this audit do not fit" in line
    )
    assert inverted.startswith("If there are none, and the network has BatchNorm, set probe.surrogates")
    assert inverted.endswith("have others scored with such images (proctor calibrate --surrogates inverted).")
    assert images.startswith("Give at least 50 clean images, better 200;")
    assert images.endswith("have others scored with such images (proctor calibrate --images).")
    assert budget.startswith("Run the audit again with budget thorough; it compares all classes")
    assert not any("19 of them" in line for line in lines)


@pytest.mark.parametrize(("images", "told"), [(49, False), (50, True), (199, True), (200, False)])
def test_too_few_images_to_compare_scores_are_said(images: int, told: bool) -> None:
    data = AuditData(images=torch.zeros(images, 3, 8, 8, dtype=torch.uint8))
    lines = give_advice("suspected", "low", data, ProbeRecipe(), findings())
    assert any(line.startswith("Give 200 clean images or more") for line in lines) is told


@pytest.mark.parametrize(
    ("verdict", "surrogates", "images", "told"),
    [
        ("not_detected", "patches", 0, True),
        ("suspected", "patches", 49, True),
        ("detected", "patches", 0, False),
        ("not_detected", "inverted", 0, False),
        ("not_detected", "patches", 50, False),
    ],
)
def test_inverting_images_is_advised_where_it_could_show_more(
    verdict: BackdoorVerdict, surrogates: Surrogates, images: int, told: bool
) -> None:
    pixels = torch.zeros(images, 3, 8, 8, dtype=torch.uint8)
    data = AuditData(images=pixels) if images else AuditData()
    lines = give_advice(verdict, "low", data, ProbeRecipe(surrogates=surrogates), findings())
    assert any("set probe.surrogates to inverted" in line for line in lines) is told


def test_photographs_are_no_hindrance_where_images_are_inverted() -> None:
    """Those begin with the photographs that come with Proctor, so references for them can be scored."""
    data = AuditData(photographs=[torch.zeros(3, 64, 64, dtype=torch.uint8)])
    lines = give_advice("suspected", "low", data, ProbeRecipe(surrogates="inverted"), findings())
    assert not any("patches of your photographs" in line for line in lines)


def test_references_are_advised_for_the_images_that_the_audit_had() -> None:
    lines = give_advice("suspected", "low", AuditData(), ProbeRecipe(surrogates="inverted"), findings())
    assert any("scored (proctor calibrate --surrogates inverted): beside" in line for line in lines)
    clean = AuditData(images=torch.zeros(200, 3, 8, 8, dtype=torch.uint8))
    lines = give_advice("suspected", "low", clean, ProbeRecipe(surrogates="inverted"), findings())
    assert any("scored (proctor calibrate): beside" in line for line in lines)


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


WEAK = TransferResult(
    "ood", "x", 3, wilson(9, 9), wilson(2, 100), wilson(2, 100), 0.0, "not_tested", 0.3, 8_000
)


@pytest.mark.parametrize("moved, told", [(WEAK, True), (replace(WEAK, hazard="low"), False)])
def test_a_student_that_learned_too_little_is_to_learn_longer(moved: TransferResult, told: bool) -> None:
    found = replace(findings(), transfers=(moved,))
    lines = give_advice("not_detected", "not_tested", AuditData(), ProbeRecipe(budget="quick"), found)
    assert any(line.startswith("Raise probe.transfer_images (it was 8,000)") for line in lines) is told
