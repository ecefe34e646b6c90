"""The words of the verdict, with clean references at hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from models.data.bundle import AuditData
from models.metrics import wilson
from models.probes.advice import name_not_tested
from models.probes.calibration.apply import calibrate
from models.probes.doubts import Doubts
from models.probes.evidence import order_evidence
from models.probes.findings import Findings
from models.probes.trigger_effect import Named, judge_effect
from models.probes.verdict import Verdict, decide
from models.results.audit import ProbeResult, TriggerReport
from models.triggers import Trigger
from tests.models.probes.calibration.sets import conditions, made_set


def probe(name: str, statistic: float, *, target: int | None = 3, conspicuous: bool = False) -> ProbeResult:
    return ProbeResult(name, f"{name} looked.", target, statistic, conspicuous)


def found(*probes: ProbeResult, n: int = 19, **more: object) -> Findings:
    calibrated, result = calibrate(probes, conditions(), [made_set(n)])
    parts = {"triggers": (), "failures": (), **more}
    return Findings(tuple(calibrated), transfers=(), hiding=frozenset(), calibration=result, **parts)


def judged(*probes: ProbeResult, n: int = 19, **more: object) -> Verdict:
    return decide(found(*probes, n=n, **more))


LOUD, QUIET = probe("mmbd", 2.0), probe("mmbd", 0.2)


def test_rare_among_nineteen_clean_networks_is_detected_without_a_trigger() -> None:
    verdict = judged(LOUD, probe("trigger_inversion", 0.2, target=7))
    assert (verdict.word, verdict.target_label) == ("detected", 3)
    assert "p = 0.050" in verdict.sentence
    assert "at most 5%" in verdict.sentence


def test_a_network_that_harms_students_is_suspected_where_others_are_detected() -> None:
    """Nasty networks are unlike ordinary references without any backdoor, so the p-value does not hold."""
    verdict = judged(LOUD, harms_students=True)
    assert (verdict.word, verdict.target_label) == ("suspected", 3)
    assert "made to mislead students" in verdict.sentence
    assert judged(QUIET, harms_students=True).word == "not_detected"


def test_where_nothing_speaks_for_the_normalization_references_raise_a_suspicion() -> None:
    """Two of five clean networks, whose pixels nobody normalized, were called backdoored at "5 %"."""
    doubts = Doubts(undeclared="Nobody declared.", assumed=True)
    verdict = judged(LOUD, doubts=doubts)
    assert (verdict.word, verdict.target_label) == ("suspected", 3)
    assert "Nobody declared." in verdict.sentence
    assert "by mistake" not in verdict.sentence
    assert judged(LOUD, doubts=replace(doubts, assumed=False)).word == "detected"


def test_a_marked_probe_without_references_that_names_another_class_contradicts() -> None:
    other = probe("local_dominance", 9.0, target=7, conspicuous=True)
    verdict = judged(LOUD, other)
    assert verdict.word == "inconclusive"
    assert "3 and 7" in verdict.sentence
    assert judged(LOUD, replace(other, target_label=3)).word == "detected"


def test_eighteen_references_are_a_suspicion_at_most_and_it_is_said() -> None:
    verdict = judged(probe("mmbd", 2.0, conspicuous=True), n=18)
    assert (verdict.word, verdict.target_label) == ("suspected", 3)
    assert "at least 19 references, there are 18" in verdict.sentence


def test_probes_that_drive_towards_different_classes_are_inconclusive() -> None:
    verdict = judged(LOUD, probe("trigger_inversion", 2.0, target=7))
    assert verdict.word == "inconclusive"
    assert "3 and 7" in verdict.sentence


def test_an_unusual_network_without_a_class_is_suspected() -> None:
    verdict = judged(probe("mmbd", 2.0, target=None))
    assert (verdict.word, verdict.target_label) == ("suspected", None)


def test_evidence_goes_by_p_value_and_then_by_what_a_probe_adds() -> None:
    quiet, more, less = (
        probe(name, score) for name, score in (("mmbd", 0.2), ("trigger_inversion", 2.0), ("transfer", 0.0))
    )
    lines = order_evidence(found(quiet, probe("universal_perturbation", 9.0), more, less))
    titles = [line.split(":")[0] for line in lines]
    assert titles == ["Universal perturbation", "Trigger inversion", "Maximum margin", "Transfer"]


def test_an_effect_that_proves_nothing_comes_behind_what_stands_out() -> None:
    images = torch.arange(4).repeat(30)
    named = Named(images, (images + 1) % 4, [images])
    trigger = Trigger("sticker", "replace", torch.zeros(3, 4, 4), torch.zeros(1, 4, 4), 2)
    proven, doubt = (
        judge_effect(named, trigger, 4, source) for source in ("clean images", "surrogate patches")
    )
    first, second, third, *_ = order_evidence(found(LOUD, effects=(doubt, proven)))
    assert (first, third) == (proven.sentence, doubt.sentence)
    assert second.startswith("Maximum margin")


def test_an_ordinary_network_is_not_detected_whatever_its_marks_say() -> None:
    verdict = judged(probe("mmbd", 0.2, conspicuous=True))
    assert verdict.word == "not_detected"
    assert "would be conspicuous" in verdict.sentence
    assert "safe" not in verdict.sentence
    assert "as clean ones do" not in verdict.sentence  # a p-value above alpha shows no likeness
    assert "not rare enough among clean networks" in verdict.sentence
    assert "cannot see" in verdict.sentence


def test_an_ordinary_network_with_a_failed_probe_is_inconclusive() -> None:
    assert judged(QUIET, failures=("The transfer probe could not run: x.",)).word == "inconclusive"


def test_a_mark_without_references_leaves_a_doubt() -> None:
    verdict = judged(QUIET, probe("transfer", 1.0, target=5, conspicuous=True))
    assert (verdict.word, verdict.target_label) == ("inconclusive", 5)


@pytest.mark.parametrize(
    ("source", "word"), [("clean images", "detected"), ("surrogate patches", "suspected")]
)
def test_a_given_trigger_that_works_needs_no_references(source: str, word: str) -> None:
    report = TriggerReport("sticker", "given", "replace", 3, wilson(95, 100), wilson(0, 100), 0.02, source)
    verdict = judged(QUIET, triggers=(report,))
    assert (verdict.word, verdict.target_label) == (word, 3)
    assert "sticker" in verdict.sentence
    # What references show stands on its own.
    assert judged(LOUD, triggers=(report,)).word == "detected"
    # And students that end worse take nothing from what the trigger does.
    assert judged(QUIET, triggers=(report,), harms_students=True).word == word


@pytest.mark.parametrize(
    "n, said", [(19, "networks made as the references"), (5, "5 clean reference networks")]
)
def test_what_the_p_values_may_not_claim_is_said(n: int, said: str) -> None:
    assert said in " ".join(name_not_tested(found(QUIET, n=n), "surrogate patches", AuditData()))


def test_why_there_is_no_calibration_is_said() -> None:
    findings = Findings((QUIET,), (), (), (), frozenset(), calibrate([QUIET], conditions(), [])[1])
    lines = " ".join(name_not_tested(findings, "surrogate patches", AuditData()))
    assert "There are no clean reference networks to compare with." in lines
