from __future__ import annotations

from dataclasses import replace

import pytest

from models.probes.calibration.apply import calibrate
from models.probes.calibration.profile import class_profile
from models.results.audit import ProbeResult
from tests.models.probes.calibration.sets import conditions, made_set


def probe(name: str, statistic: float | None, *, conspicuous: bool = False, target: int = 3) -> ProbeResult:
    return ProbeResult(name, f"{name} looked.", target, statistic, conspicuous)


def probes(margin: float, patch: float = 0.2, *, conspicuous: bool = False) -> list[ProbeResult]:
    return [probe("mmbd", margin, conspicuous=conspicuous), probe("trigger_inversion", patch)]


def test_every_probe_gets_its_p_value_and_all_of_them_one() -> None:
    calibrated, result = calibrate(probes(2.0), conditions(), [made_set(19)])
    assert [p.calibration_references for p in calibrated] == [19, 19]
    assert calibrated[0].p_value == 0.05
    assert calibrated[1].p_value is not None
    assert calibrated[1].p_value > 0.1
    assert "Of 19 clean reference networks none score at least as high (p = 0.050)" in calibrated[0].summary
    assert (result.p_value, result.driving, result.references) == (0.05, ("mmbd",), 19)
    assert (result.name, result.sha256) == ("simulated", made_set(19).sha256)
    assert result.decides


def test_a_probe_that_drives_is_conspicuous_against_its_own_mark_and_it_is_said() -> None:
    calibrated, result = calibrate(probes(2.0), conditions(), [made_set(19)])
    assert [p.conspicuous for p in calibrated] == [True, False]
    assert "would not be conspicuous; the comparison rules" in result.sentence


def test_a_mark_that_clean_networks_pass_too_is_overruled_and_it_is_said() -> None:
    calibrated, result = calibrate(probes(0.2, conspicuous=True), conditions(), [made_set(19)])
    assert not any(p.conspicuous for p in calibrated)
    assert "maximum margin would be conspicuous" in result.sentence


def test_too_few_references_leave_the_marks_alone() -> None:
    calibrated, result = calibrate(probes(2.0, conspicuous=True), conditions(), [made_set(18)])
    assert [p.conspicuous for p in calibrated] == [True, False]
    assert (result.p_value, result.band, result.decides) == (pytest.approx(1 / 19), None, False)
    assert "takes at least 19 references, there are 18" in result.sentence


def test_without_a_set_nothing_changes_and_the_reason_stands_there() -> None:
    calibrated, result = calibrate(probes(2.0), conditions(), [made_set(19, num_classes=43)])
    assert calibrated == probes(2.0)
    assert (result.name, result.p_value, result.references) == (None, None, 0)
    assert "number of classes" in result.sentence


def test_a_probe_without_a_score_is_left_out_of_the_references_too() -> None:
    """The third probe of the references is huge: with it, the network would look ordinary."""
    found = made_set(19)
    loud = tuple(
        replace(r, scores={**r.scores, "universal_perturbation": 50.0 * i})
        for i, r in enumerate(found.references)
    )
    missing = [*probes(2.0), probe("universal_perturbation", None)]
    calibrated, result = calibrate(missing, conditions(), [replace(found, references=loud)])
    assert result.probes == ("mmbd", "trigger_inversion")
    assert result.p_value == 0.05
    assert calibrated[2] == missing[2]


@pytest.mark.parametrize("task", [None, "digits"])
def test_a_search_that_won_nothing_is_ranked_and_names_no_class(task: str | None) -> None:
    sizes = (5.0, 4.0, 3.0, 3.0, 3.0, 3.0)
    known = probe("trigger_inversion", 0.2)
    profile = class_profile(replace(known, class_scores=sizes))
    found = made_set(19, probes=("trigger_inversion",))
    found = replace(
        found,
        task="digits",
        references=tuple(replace(r, profiles={"trigger_inversion": profile}) for r in found.references),
    )
    nothing = replace(known, target_label=None, statistic=0.0, nothing_won=True, class_scores=(5.0,) * 6)
    (calibrated,), result = calibrate([nothing], conditions(), [found], task)
    assert (calibrated.p_value, calibrated.target_label, calibrated.conspicuous) == (1.0, None, False)
    assert "stands out most" not in calibrated.summary
    assert "Trigger inversion gave no answer and counts as unremarkable." in result.sentence


def test_a_probe_that_the_set_does_not_know_keeps_its_mark() -> None:
    other = probe("transfer", 9.0, conspicuous=True)
    calibrated, result = calibrate([*probes(0.2), other], conditions(), [made_set(19)])
    assert calibrated[2] == other
    assert "transfer" not in result.probes


def test_a_set_of_other_probes_is_no_calibration() -> None:
    _, result = calibrate([probe("transfer", 9.0)], conditions(), [made_set(19)])
    assert (result.p_value, result.name) == (None, None)


def test_references_of_relatives_are_called_an_approximation() -> None:
    _, result = calibrate(probes(0.2), conditions(), [made_set(19, architecture="wrn-16-2")])
    assert "approximation" in result.sentence


def test_a_network_is_not_its_own_reference() -> None:
    """Its own scores would tie with it, and no p-value of 0.05 would ever come of 19 networks."""
    found = made_set(20)
    own, mark = found.references[7], found.references[7].scores["mmbd"]
    calibrated, result = calibrate(probes(mark), conditions(), [found], own_sha256=own.sha256)
    others, expected = calibrate(
        probes(mark), conditions(), [replace(found, references=found.references[:7] + found.references[8:])]
    )
    assert (result.references, result.p_value, result.band) == (19, expected.p_value, expected.band)
    assert [p.p_value for p in calibrated] == [p.p_value for p in others]
    assert result.sha256 == found.sha256
    assert (
        "The set has 20 networks, and this one is among them (by SHA-256): it was left out" in result.sentence
    )
    assert "left out" not in expected.sentence


def test_a_set_that_is_too_small_without_the_network_decides_nothing() -> None:
    found = made_set(19)
    _, result = calibrate(probes(2.0), conditions(), [found], own_sha256=found.references[0].sha256)
    assert (result.references, result.decides) == (18, False)


def test_a_set_of_the_network_alone_is_none() -> None:
    found = made_set(1)
    _, result = calibrate(probes(2.0), conditions(), [found], own_sha256=found.references[0].sha256)
    assert (result.name, result.p_value) == (None, None)
