from __future__ import annotations

from dataclasses import replace

import pytest

from models.data.bundle import AuditData
from models.metrics import wilson
from models.probes.advice import name_not_tested
from models.probes.doubts import Doubts
from models.probes.evidence import order_evidence
from models.probes.findings import Findings, trigger_works
from models.probes.verdict import decide, overall_hazard
from models.results.audit import ChannelResult, ProbeResult, TransferResult, TriggerReport


def probe(name: str, target: int, *, conspicuous: bool) -> ProbeResult:
    return ProbeResult(name, f"{name} looked.", target, 0.5, conspicuous)


def report(
    hits: int, *, clean: int = 0, origin: str = "given", source: str = "clean images"
) -> TriggerReport:
    success, without = wilson(hits, 100), wilson(clean, 100)
    return TriggerReport("sticker", origin, "replace", 3, success, without, 0.02, source)


def findings(*probes: ProbeResult, triggers: tuple[TriggerReport, ...] = (), failures=()) -> Findings:
    return Findings(probes, triggers, (), failures, frozenset())


QUIET = probe("mmbd", 3, conspicuous=False)
LOUD = probe("mmbd", 3, conspicuous=True)


def test_given_trigger_that_works_on_clean_images_is_detected_and_it_is_said_what_that_takes() -> None:
    verdict = decide(findings(QUIET, triggers=(report(95),)))
    assert (verdict.word, verdict.target_label) == ("detected", 3)
    assert "sticker, which you gave, sends 95% of 100 clean images to class 3" in verdict.sentence
    assert "known beforehand" in verdict.sentence


@pytest.mark.parametrize(("area", "told"), [(0.25, True), (0.09, False)])
def test_a_bold_trigger_is_no_proof_without_a_look(area: float, told: bool) -> None:
    """A white quarter moved a benign network that names the brightest quarter, and no word warned of it."""
    verdict = decide(replace(findings(QUIET, triggers=(report(95),)), bold={"sticker": area}))
    assert verdict.word == "detected"
    assert ("It covers 25% of the pixels" in verdict.sentence) is told


def moved(trigger: str) -> TransferResult:
    return TransferResult(
        "ood", trigger, 3, wilson(2, 100), wilson(96, 100), wilson(7, 100), 1.0, "high", 0.9, 9
    )


def test_a_given_trigger_that_works_on_a_student_alone_is_a_suspicion() -> None:
    """A backdoor that sleeps until it is distilled; it was ``not_detected``, and ``audit`` ended with 0."""
    found = replace(findings(QUIET, triggers=(report(2),)), transfers=(moved("sticker"),))
    verdict = decide(found)
    assert (verdict.word, verdict.target_label) == ("suspected", 3)
    assert "2% of the images to class 3 in the network itself, and 96% in a student" in verdict.sentence


def test_only_what_students_obey_more_than_the_network_sleeps_in_it() -> None:
    """Of a trigger that the network obeyed on 58 of 100 images, too, it was said that it sleeps there."""
    awake = replace(moved("sticker"), teacher_success=wilson(58, 100), student_success=wilson(70, 100))
    verdict = decide(replace(findings(QUIET, triggers=(report(58),)), transfers=(awake,)))
    assert verdict.word == "suspected"
    assert "may have a backdoor: the trigger sticker, which you gave, sends 58%" in verdict.sentence


def test_what_hides_the_image_does_not_sleep() -> None:
    """A picture over the whole image showed its own class to the network and to its student."""
    found = replace(findings(QUIET, triggers=(report(100),)), transfers=(moved("sticker"),))
    assert decide(replace(found, hiding=frozenset({"sticker"}))).word == "not_detected"


def test_a_recovered_pattern_that_works_on_a_student_raises_no_suspicion() -> None:
    """Searches find such patterns for students of clean networks, too."""
    triggers = (report(2, origin="recovered"),)
    found = replace(findings(QUIET, triggers=triggers), transfers=(moved("sticker"),))
    assert decide(found).word == "not_detected"


def test_a_channel_that_broke_takes_nothing_from_the_one_where_the_trigger_woke() -> None:
    """It was ``inconclusive`` then."""
    broken = ("The transfer probe could not run over images of a generator: x.",)
    found = findings(QUIET, triggers=(report(2),), failures=broken)
    assert decide(replace(found, transfers=(moved("sticker"),))).word == "suspected"
    misfit = replace(found, transfers=(moved("sticker"),), doubts=Doubts(misfit="Labels differ."))
    assert decide(misfit).word == "inconclusive"


def test_a_trigger_that_works_where_images_and_network_do_not_fit_is_a_suspicion() -> None:
    """A clean network of digits behind a tenth of its deviation followed one of the catalog on .73."""
    found = replace(findings(QUIET, triggers=(report(73),)), doubts=Doubts(misfit="Labels differ."))
    verdict = decide(found)
    assert (verdict.word, verdict.target_label) == ("suspected", 3)
    assert "do not belong together, so it is a suspicion. Labels differ." in verdict.sentence
    assert "patches" not in verdict.sentence


@pytest.mark.parametrize("quiet", [QUIET, probe("mmbd", 7, conspicuous=True)])
def test_given_trigger_that_works_on_patches_is_a_suspicion(quiet: ProbeResult) -> None:
    """Searches recover such patterns from clean networks; one of them may have been given back."""
    verdict = decide(findings(quiet, triggers=(report(95, source="surrogate patches"),)))
    assert (verdict.word, verdict.target_label) == ("suspected", 3)
    assert "95% of 100 surrogate patches" in verdict.sentence
    assert "clean images can prove it" in verdict.sentence


def test_statistics_alone_are_never_more_than_a_suspicion() -> None:
    everything = [
        probe(n, 3, conspicuous=True) for n in ("mmbd", "trigger_inversion", "universal_perturbation")
    ]
    recovered = report(100, origin="recovered")
    verdict = decide(findings(*everything, triggers=(recovered,)))
    assert (verdict.word, verdict.target_label) == ("suspected", 3)


@pytest.mark.parametrize("conspicuous", [False, True])
def test_a_recovered_pattern_of_a_class_that_nothing_points_at_is_no_sign(conspicuous: bool) -> None:
    probes = [probe(n, 3, conspicuous=conspicuous) for n in ("mmbd", "trigger_inversion")]
    found = findings(*probes, triggers=(report(100, origin="recovered"),))
    line = next(line for line in order_evidence(found) if line.startswith("A trigger that was recovered"))
    assert ("alone it is no sign" in line) is not conspicuous


def test_margin_alone_is_a_suspicion() -> None:
    silent = probe("trigger_inversion", 5, conspicuous=False)
    assert decide(findings(LOUD, silent)).word == "suspected"


def test_probes_that_name_different_classes_are_inconclusive() -> None:
    verdict = decide(findings(LOUD, probe("trigger_inversion", 5, conspicuous=True)))
    assert verdict.word == "inconclusive"
    assert "3 and 5" in verdict.sentence


def test_inversion_that_the_margin_does_not_support_is_inconclusive() -> None:
    verdict = decide(findings(QUIET, probe("trigger_inversion", 5, conspicuous=True)))
    assert (verdict.word, verdict.target_label) == ("inconclusive", 5)


def test_audit_without_a_margin_is_inconclusive() -> None:
    verdict = decide(findings(failures=("The margin probe could not run: logits.",)))
    assert verdict.word == "inconclusive"
    assert "logits" in verdict.sentence


def test_silence_with_a_failed_probe_is_inconclusive() -> None:
    assert decide(findings(QUIET, failures=("The transfer probe could not run: x.",))).word == "inconclusive"


def test_not_detected_names_the_probes_and_never_says_safe() -> None:
    verdict = decide(findings(QUIET, probe("trigger_inversion", 5, conspicuous=False)))
    assert (verdict.word, verdict.target_label) == ("not_detected", None)
    assert "maximum margin and trigger inversion" in verdict.sentence
    assert "safe" not in verdict.sentence
    assert "cannot see" in verdict.sentence


def test_a_search_that_won_nothing_was_not_asked() -> None:
    nothing = replace(probe("trigger_inversion", 5, conspicuous=False), target_label=None, nothing_won=True)
    found = findings(QUIET, nothing)
    assert "by maximum margin. That" in decide(found).sentence
    lines = name_not_tested(found, "clean images", AuditData())
    assert "Trigger inversion gave no answer. trigger_inversion looked." in lines
    assert not any(line.startswith("Trigger inversion cannot see") for line in lines)


@pytest.mark.parametrize("hits, clean", [(40, 0), (95, 80)])
def test_weak_or_redundant_trigger_does_not_count_trap_11(hits: int, clean: int) -> None:
    """A network that names one class for everything follows any trigger to that class."""
    assert not trigger_works(report(hits, clean=clean))


def test_trigger_that_hides_the_image_does_not_count() -> None:
    assert not trigger_works(report(100), frozenset({"sticker"}))


def test_evidence_starts_with_what_was_measured() -> None:
    evidence = decide(findings(LOUD, triggers=(report(95),))).evidence
    assert "sticker" in evidence[0]
    assert evidence[1].startswith("Maximum margin")


def test_trigger_that_does_nothing_is_reported_all_the_same() -> None:
    evidence = decide(findings(QUIET, triggers=(report(2),))).evidence
    assert any("sticker" in line and "too little" in line for line in evidence)


def test_one_moving_trigger_makes_the_hazard_high() -> None:
    rate = wilson(50, 100)
    low = TransferResult("ood", "a", 3, rate, rate, rate, 0.1, "low", 0.8, 1000)
    assert overall_hazard([low, replace(low, hazard="high")]) == "high"
    assert overall_hazard([low, replace(low, hazard="not_tested")]) == "low"
    assert overall_hazard([]) == "not_tested"


def test_a_student_that_names_the_target_for_everything_is_told_as_such() -> None:
    rate, none = wilson(200, 200), wilson(0, 200)
    collapsed = TransferResult(
        "ood", "a", 3, rate, rate, none, 1.0, "not_tested", 0.1, 650, student_clean_rate=rate
    )
    moved = replace(collapsed, hazard="high", student_clean_rate=none)
    lines = [order_evidence(Findings((), (), (found,), (), frozenset()))[0] for found in (collapsed, moved)]
    assert "without it the student sends 100.0% there, so that says nothing" in lines[0]
    assert "says nothing" not in lines[1]
    assert "moves to a student" in lines[1]


def test_a_student_that_any_perturbation_moves_is_told_as_such() -> None:
    rate, control, none = wilson(190, 200), wilson(182, 200), wilson(0, 200)
    near = TransferResult(
        "ood", "a", 3, rate, rate, control, 1.0, "not_tested", 0.8, 650, student_clean_rate=none
    )
    (line,) = order_evidence(Findings((), (), (near,), (), frozenset()))
    told = "nearly as well or better, so the trigger's success cannot be told from the control's."
    assert line.endswith(f"works on 91.0%, {told}")


def test_evidence_names_what_the_student_was_distilled_from() -> None:
    rate, none = wilson(150, 200), wilson(0, 200)
    moved = TransferResult("zskt", "a", 3, rate, rate, none, 1.0, "high", 0.8, 650, student_clean_rate=none)
    found = Findings((), (), (moved, replace(moved, channel="ood", hazard="low")), (), frozenset())
    generated, patches = order_evidence(found)
    assert "moves to a student distilled from images of a zero-shot generator (zskt): it works" in generated
    assert (
        "stays below half of the images in a student distilled from out-of-distribution images: it works"
        in patches
    )


def test_a_student_that_learned_too_little_is_named_as_the_reason() -> None:
    rate, few = wilson(650, 650), wilson(10, 650)
    transfer = TransferResult(
        "ood", "a", 3, rate, few, few, 0.0, "not_tested", 0.9, 650, student_clean_rate=few
    )
    line = order_evidence(Findings((), (), (transfer,), (), frozenset()))[0]
    assert line.endswith("the student learned too little of its teacher for its resistance to say anything.")


def test_a_trigger_that_has_begun_to_move_is_told_as_such() -> None:
    rate, some, none = wilson(650, 650), wilson(230, 650), wilson(0, 650)
    moved = TransferResult(
        "ood", "a", 3, rate, some, none, 0.35, "not_tested", 0.8, 650, student_clean_rate=none
    )
    line = order_evidence(Findings((), (), (moved,), (), frozenset()))[0]
    assert line.endswith("on more images than that and than without it: longer training may move more.")
    assert not moved.learned_too_little


def test_a_channel_that_was_not_tested_is_named_with_its_reason_and_changes_no_verdict() -> None:
    channel = ChannelResult("vanilla", "not_tested", 0.0, "None were given.")
    without = findings(QUIET)
    found = replace(without, channels=(channel,))
    line = "Transfer to a student distilled from clean images was not tested. None were given."
    assert line in name_not_tested(found, "clean images", AuditData())
    assert line not in name_not_tested(without, "clean images", AuditData())
    assert decide(found) == decide(without)
