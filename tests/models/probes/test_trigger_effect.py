"""What given triggers do class by class, from predictions alone and on planted networks."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from models.architectures import PixelClassifier
from models.checkpoints.load import Teacher
from models.data.bundle import AuditData
from models.engine.monitor import SilentMonitor
from models.engine.seed import make_generator
from models.metrics import wilson
from models.probes.audit import run_audit
from models.probes.audit_run import AuditRun, begin
from models.probes.doubts import Doubts
from models.probes.evidence import order_evidence
from models.probes.findings import Findings
from models.probes.trigger_effect import Named, judge_effect, look_class_by_class, shuffle_pixels
from models.probes.trigger_measuring import measure_trigger, trigger_norm
from models.probes.verdict import decide
from models.recipes.job import Recipe
from models.recipes.probe import ProbeRecipe
from models.results.audit import ProbeResult, TriggerReport
from models.results.trigger_effect import TriggerEffect
from models.triggers import Trigger
from tests.models.probes.planted import NUM_CLASSES, SIZE, StagedQuadrants, checkerboard, planted_teacher
from tests.models.probes.planted import quadrant_images as images_of

TARGET = 2
#: 50 images of each of 4 classes.
BEFORE = torch.arange(200) % NUM_CLASSES
TRIGGER = checkerboard(TARGET)


def judge(after: Tensor, *controls: Tensor, source: str = "clean images") -> TriggerEffect:
    return judge_effect(Named(BEFORE, after, controls or (BEFORE,)), TRIGGER, NUM_CLASSES, source)


def moved(source: int, destination: int, count: int = 50, start: Tensor = BEFORE) -> Tensor:
    """Move ``count`` images of a class, leave the others."""
    after = start.clone()
    after[torch.nonzero(source == BEFORE).flatten()[:count]] = destination
    return after


def findings(effect: TriggerEffect | None, *, conspicuous: bool = False) -> Findings:
    margin = ProbeResult("mmbd", "mmbd looked.", TARGET, 0.5, conspicuous)
    report = TriggerReport(
        TRIGGER.name, "given", "replace", TARGET, wilson(30, 100), wilson(0, 100), 0.02, "clean images"
    )
    effects = () if effect is None else (effect,)
    return Findings((margin,), (report,), (), (), frozenset(), effects=effects)


def test_images_of_one_class_that_go_to_the_declared_target_are_a_detection() -> None:
    effect = judge(moved(0, TARGET))
    assert (effect.kind, effect.proven) == ("source_specific", True)
    verdict = decide(findings(effect))
    assert (verdict.word, verdict.target_label) == ("detected", TARGET)
    assert "known beforehand" in verdict.sentence
    assert decide(replace(findings(effect), doubts=Doubts(misfit="Labels differ."))).word == "inconclusive"
    assert "acts on some classes of images" in verdict.sentence
    assert "0 to 2" in verdict.sentence


def test_a_share_that_is_only_just_consistent_is_a_doubt() -> None:
    """36 of 50: a lower bound of .58, of .55 when widened for four classes; controls go there by 0.18."""
    effect = judge(moved(0, TARGET, 36), moved(0, TARGET, 9))
    assert (effect.kind, effect.proven) == ("source_specific", False)
    verdict = decide(findings(effect))
    assert (verdict.word, verdict.target_label) == ("inconclusive", TARGET)


def test_patches_prove_nothing_about_single_classes() -> None:
    effect = judge(moved(0, TARGET), source="surrogate patches")
    assert (effect.kind, effect.proven) == ("source_specific", False)


def test_looking_at_more_classes_asks_for_more() -> None:
    """22 of 24 are enough for one class and not for a hundred."""
    found = []
    for classes in (4, 100):
        before = torch.arange(24 * classes) % classes
        after = before.clone()
        after[torch.nonzero(before == 0).flatten()[:22]] = TARGET
        named = Named(before, after, (before,))
        found.append(judge_effect(named, TRIGGER, classes, "clean images"))
    assert [effect.kind for effect in found] == ["source_specific"] * 2
    assert [effect.proven for effect in found] == [True, False]


ALL_TO_ALL = (BEFORE + 1) % NUM_CLASSES


@pytest.mark.parametrize(
    "source, word", [("clean images", "detected"), ("surrogate patches", "inconclusive")]
)
def test_classes_that_each_go_to_the_next_are_all_to_all(source: str, word: str) -> None:
    """One of them goes to the target that was declared, which proves it as of one class alone."""
    effect = judge(ALL_TO_ALL, source=source)
    assert (effect.kind, effect.changed.value) == ("all_to_all", 1.0)
    verdict = decide(findings(effect))
    assert (verdict.word, verdict.target_label) == (word, None)
    assert "0 to 1, 1 to 2, 2 to 3 and 3 to 0" in verdict.sentence


@pytest.mark.parametrize("to_target", [5, 7])
def test_a_trigger_that_works_in_part_keeps_its_target_though_a_class_goes_elsewhere(to_target: int) -> None:
    before = torch.arange(500) % 10
    goes = torch.arange(10)
    goes[3 : 3 + to_target], goes[0] = TARGET, 1
    effect = judge_effect(Named(before, goes[before], [before]), TRIGGER, 10, "clean images")
    assert (effect.kind, effect.proven) == ("source_specific", True)
    verdict = decide(findings(effect))
    assert (verdict.word, verdict.target_label) == ("detected", TARGET)


def test_two_of_three_classes_to_the_declared_target_are_not_all_to_all() -> None:
    assert judge(torch.tensor([TARGET, TARGET, TARGET, 0])[BEFORE]).kind == "source_specific"


def test_destinations_that_nobody_named_are_all_named() -> None:
    before = torch.arange(500) % 10
    goes = torch.tensor([0, 4, 3, 3, 3, 3, 3, 3, 8, 9])
    effect = judge_effect(Named(before, goes[before], [before]), TRIGGER, 10, "clean images")
    assert effect.kind == "other_target"
    assert "leads to class 3 and 4 and not to class 2 as declared" in effect.sentence


def test_all_to_all_without_the_declared_target_is_a_doubt() -> None:
    after = torch.tensor([1, 0, 2, 0])[BEFORE]
    effect = judge(after)
    assert (effect.kind, effect.proven) == ("all_to_all", False)
    assert decide(findings(effect)).word == "inconclusive"


def test_a_trigger_that_leads_to_another_class_than_declared_is_a_doubt() -> None:
    effect = judge(torch.full_like(BEFORE, 3))
    assert effect.kind == "other_target"
    verdict = decide(findings(effect))
    assert verdict.word == "inconclusive"
    assert "leads to class 3 and not to class 2 as declared" in verdict.sentence


def test_one_class_that_moves_to_another_that_nobody_named_is_nothing() -> None:
    """Cats become dogs when a corner is hidden."""
    assert judge(moved(0, 1)).kind == "none"


def test_what_shuffled_pixels_do_too_is_mere_destruction() -> None:
    effect = judge(ALL_TO_ALL, BEFORE, ALL_TO_ALL)
    assert (effect.kind, effect.control_changed.value) == ("none", 1.0)
    assert decide(findings(effect)).word == "not_detected"


def test_images_that_scatter_move_nowhere_together() -> None:
    scattered = (BEFORE + torch.arange(200) // NUM_CLASSES % 3 + 1) % NUM_CLASSES
    effect = judge(scattered)
    assert (effect.kind, effect.changed.value) == ("none", 1.0)


def test_a_trigger_that_does_nothing_does_nothing_class_by_class() -> None:
    effect = judge(BEFORE)
    assert effect.kind == "none"
    assert decide(findings(effect)).word == "not_detected"
    assert [movement.moved.value for movement in effect.movements] == [0.0] * NUM_CLASSES


def test_classes_of_few_images_are_not_judged_and_counted() -> None:
    few = torch.cat([torch.zeros(50), torch.ones(9)]).long()
    effect = judge_effect(Named(few, torch.full_like(few, TARGET), (few,)), TRIGGER, 10, "clean images")
    assert ([movement.source for movement in effect.movements], effect.unjudged) == ([0], 9)


def test_an_effect_leaves_a_suspicion_as_it_is() -> None:
    effect = judge(ALL_TO_ALL, source="surrogate patches")
    assert decide(findings(effect, conspicuous=True)).word == "suspected"


def test_the_evidence_names_the_effect_first() -> None:
    effect = judge(ALL_TO_ALL)
    lines = order_evidence(findings(effect))
    assert lines[0] == effect.sentence
    assert "see what each does" in lines[-1]
    assert "too little to prove" in order_evidence(findings(None))[-1]


def test_a_shuffled_trigger_changes_as_many_pixels_as_strongly() -> None:
    black = torch.zeros(3, 3, SIZE, SIZE, dtype=torch.uint8)
    shuffled = shuffle_pixels(TRIGGER, make_generator(0, "shuffle"))
    assert shuffled.mask_area == TRIGGER.mask_area
    assert trigger_norm(shuffled, black) == pytest.approx(trigger_norm(TRIGGER, black))
    assert not torch.equal(shuffled.mask, TRIGGER.mask)
    again = shuffle_pixels(TRIGGER, make_generator(0, "shuffle"))
    assert torch.equal(shuffled.pattern, again.pattern)


class Wired(nn.Module):
    """Names the brightest quadrant; where the checkerboard is whole, what ``wiring`` makes of that."""

    def __init__(self, wiring: tuple[int, ...]) -> None:
        super().__init__()
        self.plain = planted_teacher(strength=0.0).network
        self.register_buffer("wiring", torch.tensor(wiring))

    def forward(self, pixels: Tensor) -> Tensor:
        logits = self.plain(pixels)
        corner = slice(-3, None)
        stamped = (pixels - TRIGGER.pattern)[..., corner, corner].abs().amax((1, 2, 3)) < 0.01
        rewired = 10 * nn.functional.one_hot(self.wiring[logits.argmax(1)], NUM_CLASSES)
        return torch.where(stamped[:, None], rewired.to(logits), logits)


def wired_teacher(*wiring: int) -> Teacher:
    """``wiring[c]`` is the class that images of class c go to with the trigger."""
    plain = planted_teacher(strength=0.0)
    return Teacher(StagedQuadrants(Wired(wiring)).eval(), plain.normalization, plain.spec)


def labelled() -> AuditData:
    images, labels = images_of(400)
    return AuditData(images=images, labels=labels)


def looked_at(teacher: Teacher, trigger: Trigger = TRIGGER) -> list[TriggerEffect]:
    with begin(teacher, labelled(), (trigger,), Recipe(), SilentMonitor()) as audit:
        return measured(audit, trigger)


def measured(audit: AuditRun, trigger: Trigger) -> list[TriggerEffect]:
    assert isinstance(audit.classifier, PixelClassifier)
    audit.reports.append(measure_trigger(audit.classifier, trigger, "given", audit.images))
    look_class_by_class(audit)
    return audit.effects


def test_an_all_to_all_network_is_found_with_its_trigger() -> None:
    (effect,) = looked_at(wired_teacher(1, 2, 3, 0))
    assert effect.kind == "all_to_all"
    assert {(m.source, m.destination) for m in effect.movements} == {(0, 1), (1, 2), (2, 3), (3, 0)}
    assert effect.control_changed.value < 0.2


def test_a_source_specific_network_is_found_with_its_trigger() -> None:
    (effect,) = looked_at(wired_teacher(2, 1, 2, 3))
    assert effect.proven
    assert "of some classes alone to its target, class 2 (0 to 2)" in effect.sentence
    plain = Findings((), (), (), (), frozenset(), effects=(effect,))
    assert "is no picture of the other one" not in decide(plain).sentence
    bold = decide(replace(plain, bold={effect.trigger: 1.0}))
    assert (bold.word, "is no picture of the other one" in bold.sentence) == ("detected", True)


def test_a_pattern_given_for_several_targets_proves_nothing_of_one_of_them() -> None:
    """One of them is wherever a benign network goes: all ten targets in one request made any such proof."""
    others = [replace(TRIGGER, name=f"to {label}", target_label=label) for label in range(NUM_CLASSES)]
    given = [TRIGGER, *others[:TARGET]]
    with begin(wired_teacher(2, 1, 2, 3), labelled(), given, Recipe(), SilentMonitor()) as audit:
        effect = measured(audit, TRIGGER)[0]
    assert (effect.kind, effect.proven) == ("source_specific", False)


def test_a_network_without_a_backdoor_shows_nothing() -> None:
    (effect,) = looked_at(wired_teacher(0, 1, 2, 3))
    assert effect.kind == "none"


def test_a_trigger_that_hides_the_image_is_not_followed() -> None:
    whole = replace(TRIGGER, mask=torch.ones(1, SIZE, SIZE))
    assert looked_at(wired_teacher(1, 2, 3, 0), whole) == []


def test_a_trigger_that_works_needs_no_second_look() -> None:
    assert looked_at(planted_teacher(strength=60.0)) == []


@pytest.mark.parametrize("declared, word", [(TARGET, "detected"), (1, "inconclusive")])
def test_an_audit_says_so(declared: int, word: str) -> None:
    """The statistical probes see nothing: where the classes go is the trigger's alone to tell."""
    recipe = Recipe(probe=ProbeRecipe(budget="quick", transfer=False, nasty=False))
    trigger = replace(TRIGGER, target_label=declared)
    result = run_audit(wired_teacher(2, 1, 3, 0), labelled(), (trigger,), recipe, SilentMonitor()).result
    assert (result.verdict, result.effects[0].kind) == (word, "all_to_all")
    assert result.effects[0].sentence in result.sentence
    assert result.evidence[0] == result.effects[0].sentence
