from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import nn

import models.probes.audit as audit_module
from models.architectures import build
from models.checkpoints.load import Teacher
from models.data.bundle import AuditData
from models.engine.monitor import SilentMonitor
from models.errors import Interrupted, RecipeError, TrainingFailed
from models.probes.audit import Audited, run_audit
from models.probes.audit_run import begin
from models.probes.calibration.conditions import conditions_of
from models.probes.calibration.reference_set import Reference, ReferenceSet
from models.probes.calibration.score import score_teacher
from models.probes.undistillable.judgment import judge
from models.recipes.architecture import ArchitectureSpec, Normalization
from models.recipes.job import Recipe
from models.recipes.probe import ProbeRecipe
from models.recipes.probe_catalog import REPORTED_ONLY
from models.triggers import Trigger
from tests.models.probes.inversion import shorten
from tests.models.probes.planted import checkerboard, planted_teacher, quadrant_images
from tests.models.probes.undistillable.test_judgment import USUAL, paired

RECIPE = Recipe(probe=ProbeRecipe(budget="quick", transfer=False))


def audit(strength: float, data: AuditData | None = None, triggers: tuple[Trigger, ...] = ()) -> Audited:
    teacher = planted_teacher(strength=strength)
    return run_audit(teacher, data or AuditData(), triggers, RECIPE, SilentMonitor())


def labelled() -> AuditData:
    images, labels = quadrant_images(100)
    return AuditData(images=images, labels=labels)


def test_backdoored_teacher_is_suspected_from_the_checkpoint_alone() -> None:
    result = audit(60.0).result
    assert (result.tier, result.verdict, result.target_label) == (0, "suspected", 2)
    assert all(report.image_source == "surrogate patches" for report in result.triggers)


def test_an_audit_may_search_on_images_inverted_from_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """It asks the teacher on them as it would on patches, and says so."""
    shorten(monkeypatch, 2)
    torch.manual_seed(0)
    spec = ArchitectureSpec("wrn-10-1", 4, 16)
    teacher = Teacher(build(spec).eval(), Normalization(), spec)
    recipe = replace(RECIPE, probe=replace(RECIPE.probe, surrogates="inverted"))
    result = run_audit(teacher, AuditData(), (checkerboard(2),), recipe, SilentMonitor()).result
    assert result.tier == 0
    assert {report.image_source for report in result.triggers} == {"inverted images"}
    assert any("no clean images were given; inverted images stood in" in line for line in result.not_tested)


def test_given_trigger_turns_the_suspicion_into_a_detection() -> None:
    result = audit(60.0, labelled(), (checkerboard(2),)).result
    assert (result.tier, result.verdict, result.target_label) == (2, "detected", 2)
    assert result.teacher_accuracy is not None
    assert result.teacher_accuracy.value == 1.0


def test_benign_teacher_is_not_detected_and_leaves_no_recovered_trigger() -> None:
    """Universal perturbations of a benign network would count against every student."""
    audited = audit(0.0, labelled())
    assert audited.result.verdict == "not_detected"
    assert audited.result.triggers
    assert audited.recovered == ()


def test_recovered_triggers_of_a_suspect_are_handed_on() -> None:
    audited = audit(60.0, labelled())
    assert audited.recovered
    assert {trigger.target_label for trigger in audited.recovered} == {2}


def test_whether_it_is_nasty_is_a_flag_of_its_own() -> None:
    """Asked or not, where no student ended worse the backdoor's verdict is the same to the letter."""
    teacher = planted_teacher(strength=60.0)
    silent = replace(RECIPE, probe=replace(RECIPE.probe, nasty=False))
    asked = run_audit(teacher, labelled(), (checkerboard(2),), RECIPE, SilentMonitor()).result
    unasked = run_audit(teacher, labelled(), (checkerboard(2),), silent, SilentMonitor()).result
    assert unasked.undistillable is None
    assert asked.undistillable is not None
    assert asked.undistillable.word != "detected"
    for field in ("verdict", "sentence", "not_tested", "advice", "hazard"):
        assert getattr(asked, field) == getattr(unasked, field)
    assert not any("backdoor" in line.lower() for line in asked.undistillable.evidence)


def test_what_was_not_asked_is_said() -> None:
    lines = audit(0.0).result.not_tested
    assert "Transfer did not run: it was not asked for (probe.transfer)." in lines
    assert "Known trigger did not run: no trigger was given that could be measured." in lines
    (line,) = (line for line in lines if line.startswith("Universal perturbation did not run: budget quick"))
    assert "still recovered for each class that is suspected" in line
    assert any("no clean images were given" in line for line in lines)


def test_same_seed_gives_the_same_result() -> None:
    first, second = audit(60.0).result, audit(60.0).result
    assert [p.class_scores for p in first.probes] == [p.class_scores for p in second.probes]
    assert first.triggers == second.triggers


def test_labels_do_not_change_what_the_data_free_probe_says_trap_46() -> None:
    assert audit(60.0).result.probes[0].class_scores == audit(60.0, labelled()).result.probes[0].class_scores


def test_damaged_weights_are_inconclusive() -> None:
    teacher = planted_teacher(strength=0.0)
    with torch.no_grad():
        teacher.network.scale.fill_(float("nan"))
    result = run_audit(teacher, AuditData(), (), RECIPE, SilentMonitor()).result
    assert result.verdict == "inconclusive"
    assert "not finite" in result.sentence


def test_trigger_to_a_class_that_does_not_exist_is_refused() -> None:
    with pytest.raises(RecipeError) as caught:
        audit(0.0, triggers=(replace(checkerboard(), target_label=4),))
    assert caught.value.code == "trigger_target_unknown"


def test_two_triggers_of_one_name_are_refused() -> None:
    """Findings go by the name: one that does nothing would stand for one that works."""
    with pytest.raises(RecipeError) as caught:
        audit(60.0, triggers=(checkerboard(2), replace(checkerboard(1))))
    assert caught.value.code == "trigger_name_repeated"


class Recording(SilentMonitor):
    def __init__(self) -> None:
        self.seen: list[float] = []

    def progress(self, done: int, total: int, **scalars: float) -> None:
        self.seen.append(done / total)


def test_progress_never_runs_backwards_nor_leaps() -> None:
    """What is left is told from the pace: without transfer the bar leapt from .35 to .9."""
    monitor = Recording()
    run_audit(planted_teacher(strength=0.0), AuditData(), (), RECIPE, monitor)
    assert monitor.seen == sorted(monitor.seen)
    assert max(after - before for before, after in pairwise([0.0, *monitor.seen, 1.0])) < 0.1


def test_audit_stops_when_asked() -> None:
    class Stopping(SilentMonitor):
        def should_stop(self) -> bool:
            return True

    with pytest.raises(Interrupted):
        run_audit(planted_teacher(strength=0.0), AuditData(), (), RECIPE, Stopping())


def test_teacher_leaves_the_audit_as_it_came() -> None:
    teacher = planted_teacher(strength=60.0)
    before = {name: value.clone() for name, value in teacher.network.state_dict().items()}
    run_audit(teacher, AuditData(), (checkerboard(2),), RECIPE, SilentMonitor())
    assert all(torch.equal(value, before[name]) for name, value in teacher.network.state_dict().items())
    assert all(
        parameter.requires_grad and parameter.grad is None for parameter in teacher.network.parameters()
    )


def test_probing_reads_convolutions_channels_last() -> None:
    spec = ArchitectureSpec("wrn-10-1", 4, 16)
    network = build(spec).eval()
    teacher = Teacher(network, Normalization(), spec)
    pixels = torch.rand(2, 3, 16, 16)
    expected = teacher.pixel_classifier()(pixels)
    with begin(teacher, AuditData(), (), RECIPE, SilentMonitor()) as audit:
        assert audit.classifier(pixels).allclose(expected, atol=1e-5)
        seen = [module.weight for module in network.modules() if isinstance(module, nn.Conv2d)]
        assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in seen)


def references(n: int, score: float) -> ReferenceSet:
    """Clean networks that score around ``score`` with both probes of budget quick."""
    conditions = conditions_of(planted_teacher(strength=0.0).spec, AuditData(), RECIPE)
    probes = ("mmbd", "trigger_inversion")
    made = [
        Reference(f"{number:064x}", "plain", "simulated", dict.fromkeys(probes, score + number / 1e3))
        for number in range(n)
    ]
    return ReferenceSet("simulated", conditions, probes, tuple(made))


@pytest.mark.parametrize("score, word", [(0.0, "detected"), (9.0, "not_detected")])
def test_clean_references_decide_about_a_teacher_that_marks_make_suspect(score: float, word: str) -> None:
    """The planted network scores 1 or more; references at 9 make that ordinary."""
    teacher, sets = planted_teacher(strength=60.0), [references(19, score)]
    audited = run_audit(teacher, AuditData(), (), RECIPE, SilentMonitor(), sets=sets)
    calibration = audited.result.calibration
    assert audited.result.verdict == word
    assert calibration is not None
    assert (calibration.sha256, calibration.references) == (sets[0].sha256, 19)
    compared = {probe.probe: probe.calibration_references for probe in audited.result.probes}
    assert compared == {"mmbd": 19, "trigger_inversion": 19, **dict.fromkeys(REPORTED_ONLY, 0)}
    assert bool(audited.recovered) == (word == "detected")


def test_references_alone_detect_no_network_whose_students_end_worse(monkeypatch: pytest.MonkeyPatch) -> None:
    """A nasty network is never called backdoored because of it; a trigger that works still is."""
    nasty = judge(replace(USUAL, students=paired(*[-0.1] * 5)), seconds=1.0)
    monkeypatch.setattr(audit_module, "ask_undistillable", lambda *_, **__: nasty)
    teacher, sets = planted_teacher(strength=60.0), [references(19, 0.0)]
    result = run_audit(teacher, AuditData(), (), RECIPE, SilentMonitor(), sets=sets).result
    assert result.undistillable is nasty
    assert (result.verdict, result.target_label) == ("suspected", 2)
    proven = run_audit(teacher, labelled(), (checkerboard(2),), RECIPE, SilentMonitor(), sets=sets).result
    assert proven.verdict == "detected"


def test_a_teacher_that_is_among_its_references_is_left_out_of_them() -> None:
    found = references(20, 0.0)
    teacher = replace(planted_teacher(strength=60.0), sha256=found.references[3].sha256)
    result = run_audit(teacher, AuditData(), (), RECIPE, SilentMonitor(), sets=[found]).result
    assert result.calibration is not None
    assert result.calibration.references == 19
    assert "this one is among them" in result.sentence


def bright_quadrant(target_label: int) -> Trigger:
    """Makes any network of quadrants name one, backdoor or not."""
    pattern, mask = torch.ones(3, 16, 16), torch.zeros(1, 16, 16)
    row, column = divmod(target_label, 2)
    mask[:, row * 8 : row * 8 + 8, column * 8 : column * 8 + 8] = 1
    return Trigger("bright", "replace", pattern, mask, target_label)


def test_a_given_trigger_tunes_no_student_and_chooses_no_search() -> None:
    """Recovered triggers steer RobustKD's threshold: a given one, known or not, may not put any there."""
    alone, told = (audit(0.0, labelled(), given) for given in ((), (bright_quadrant(1),)))
    assert (told.result.verdict, told.result.target_label) == ("detected", 1)
    assert told.recovered == alone.recovered == ()
    assert _found(told) == _found(alone)


def _found(audited: Audited) -> list[str]:
    return [report.name for report in audited.result.triggers if report.origin == "recovered"]


def test_a_reference_is_scored_as_the_audit_scores() -> None:
    """One function for both: otherwise ranks would compare unlike things."""
    scores = score_teacher(planted_teacher(strength=60.0), AuditData(), RECIPE, SilentMonitor())
    found = {probe.probe: probe.statistic for probe in audit(60.0).result.probes}
    assert scores.scores == {name: value for name, value in found.items() if name not in REPORTED_ONLY}


def test_a_network_that_cannot_be_scored_is_no_reference() -> None:
    teacher = planted_teacher(strength=0.0)
    with torch.no_grad():
        teacher.network.scale.fill_(float("nan"))
    with pytest.raises(TrainingFailed) as caught:
        score_teacher(teacher, AuditData(), RECIPE, SilentMonitor())
    assert caught.value.code == "probe_failed"


def test_numbers_without_a_mark_are_reported_and_are_no_evidence() -> None:
    result = audit(60.0, labelled()).result
    assert {probe.probe for probe in result.probes} >= REPORTED_ONLY
    dominance = next(probe for probe in result.probes if probe.probe == "local_dominance")
    assert dominance.statistic is not None
    assert not any("Local dominance" in line for line in result.evidence)


def test_probe_without_an_answer_says_why_and_changes_no_verdict() -> None:
    """The planted network has neither a linear layer nor stages."""
    result = audit(0.0, labelled()).result
    silent = {probe.probe for probe in result.probes if probe.statistic is None}
    assert silent == {"head_statistics", "shuffle_sensitivity", "feature_variance"}
    assert any("gave no answer. There is no number: the network has no stage" in t for t in result.not_tested)
    assert result.verdict == "not_detected"
    assert "shuffled" not in result.sentence


@pytest.mark.parametrize("scale", [1e-12, 1e-2, 1e20])
def test_the_size_of_the_logits_hides_no_backdoor(scale: float) -> None:
    """It changes no answer and costs an attacker nothing; the first was ``not_detected``."""
    teacher = planted_teacher(strength=60.0)
    with torch.no_grad():
        teacher.network.scale.fill_(scale)
    result = run_audit(teacher, labelled(), (), RECIPE, SilentMonitor()).result
    assert (result.verdict, result.target_label) == ("suspected", 2)
    found = {probe.probe: probe for probe in result.probes}
    assert found["trigger_inversion"].conspicuous
    assert found["trigger_inversion"].target_label == 2
