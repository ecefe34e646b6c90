from dataclasses import asdict, replace

import pytest

from models.lab.reproduction import budgets
from models.recipes.job import Recipe
from models.recipes.plan import plan
from models.report.next_steps import LENGTH_FIELDS, STILL_BACKDOORED, next_steps, too_tight, too_weak
from models.results.training import Decision
from models.results.verification import Check
from tests.models.report.sample import audit, document, rate


def verified(*checks: Check):
    return replace(document().verification, checks=checks, accepted=False)


def check(name: str, passed: bool | None) -> Check:
    return Check(name, 0.5, 0.1, passed, "")


WEAK = "accuracy relative to the teacher"
ATTACK = "success of ring, above the rate without it"


def test_an_accepted_student_leaves_the_audits_advice():
    assert next_steps(audit(), verified(check(WEAK, True), check(ATTACK, True))) == audit().advice


def test_a_student_that_still_obeys_the_trigger_comes_first():
    steps = next_steps(audit(), verified(check(WEAK, True), check(ATTACK, False)))
    assert steps == (STILL_BACKDOORED, *audit().advice)


def test_the_first_advice_claims_no_more_than_was_measured():
    """The check is of a rate above a limit, and nothing showed that RobustKD removes a backdoor."""
    assert "more often than the recipe tolerates" in STILL_BACKDOORED
    assert "left half of another" in STILL_BACKDOORED


def test_a_weak_student_is_told_how_to_grow():
    weak = verified(check(WEAK, False), check("attack success", None))
    (line,) = next_steps(None, weak, method="ood", clean_images=False)
    assert "raise ood.images, or give labelled clean images of the kind the teacher was made for. Or" in line


def test_images_that_are_advised_change_what_auto_takes():
    """Images without labels do not: they only measure."""
    assert plan(Recipe(), labelled=False, unlabelled=True).method == "fast"
    assert plan(Recipe(), labelled=True, unlabelled=False).method == "robustkd"
    assert "labelled clean images" in too_weak("fast", clean_images=False)


def test_what_is_better_than_patches_is_as_long_as_it_was_measured():
    """zskt's default is shorter, and its accuracy then was not measured."""
    measured, usual = budgets.cifar("small"), Recipe()
    line = too_weak("ood", clean_images=True)
    assert f"zskt for {measured.zskt.pseudo_batches:,} pseudo-batches" in line
    assert measured.zskt.pseudo_batches > usual.zskt.pseudo_batches
    assert measured.fast.rounds == usual.fast.rounds


@pytest.mark.parametrize("method", LENGTH_FIELDS)
def test_only_the_methods_own_field_is_named_and_it_is_one(method: str):
    """400 labelled images had been given, the method was ood, and all four methods' fields were named."""
    line = too_weak(method, clean_images=True)
    assert [field for field in LENGTH_FIELDS.values() if field in line] == [LENGTH_FIELDS[method]]
    assert ("more clean images" in line) is (method in {"vanilla", "robustkd"})
    assert "of the kind" not in line
    assert ("method fast" in line) is (method == "ood")
    value = asdict(Recipe())
    for part in LENGTH_FIELDS[method].split("."):
        value = value[part]
    assert isinstance(value, int)


def test_the_report_knows_method_and_images():
    weak = replace(document(), audit=None, verification=verified(check(WEAK, False)))
    assert weak.next_steps == (too_weak("ood", clean_images=True),)


def clipping(agreement: float) -> Decision:
    return Decision(0, "clipping", "", {"agreement": agreement, "min_agreement": 0.75})


def test_a_weak_student_of_bounds_that_changed_its_teacher_is_told_so_first():
    """It was told to see more images, of a teacher that named other classes than the intact one."""
    students = document().distillation.students
    bounded = replace(students[-1], decisions=(clipping(0.4),))
    weak = replace(
        document(),
        audit=None,
        distillation=replace(document().distillation, students=(*students[:-1], bounded)),
        verification=verified(check(WEAK, False)),
    )
    told, more = weak.next_steps
    assert more == too_weak("ood", clean_images=True)
    assert "on 40% of surrogate images, where 75% were asked for" in told
    assert "Take defense abd" in told


def test_bounds_that_left_the_teacher_as_it_is_are_not_blamed():
    assert too_tight(clipping(0.75)) == too_tight(None) == ""
    accepted = verified(check(WEAK, True))
    assert next_steps(None, accepted, clipping=clipping(0.4)) == ()


def weak_of(undefended: float, limit: float):
    """A student of .6 where the teacher has .99, ``limit`` of it is asked for, and bounds kept most of it."""
    networks = tuple(
        replace(each, accuracy=rate({"teacher": 0.99, "undefended": undefended, "defended": 0.6}[each.role]))
        for each in document().verification.networks
    )
    return replace(verified(Check(WEAK, 0.6 / 0.99, limit, False, "")), networks=networks)


def test_a_student_that_the_defense_made_weak_is_told_so_before_its_length():
    told, more = next_steps(None, weak_of(0.93, 0.9), method="fast", clipping=clipping(0.81))
    assert told.startswith("The undefended student keeps 94% of the teacher's accuracy, so what is missing")
    assert "on 81% of surrogate images: ask for more by clip.min_agreement" in told
    assert more == too_weak("fast", clean_images=False)


@pytest.mark.parametrize(("undefended", "bounds"), [(0.88, clipping(0.81)), (0.93, None)])
def test_bounds_are_not_blamed_for_a_method_that_is_weak_itself_or_where_there_are_none(undefended, bounds):
    steps = next_steps(None, weak_of(undefended, 0.9), method="fast", clipping=bounds)
    assert steps == (too_weak("fast", clean_images=False),)


def test_without_labels_agreement_is_what_the_undefended_student_kept():
    weak = weak_of(0.93, 0.9)
    unlabelled = replace(weak, networks=tuple(replace(each, accuracy=None) for each in weak.networks))
    told, _ = next_steps(None, unlabelled, method="fast", clipping=clipping(0.81))
    assert told.startswith("The undefended student agrees with the teacher on 93% of the images")


def test_both_can_be_wrong():
    assert next_steps(None, verified(check(WEAK, False), check(ATTACK, False))) == (
        STILL_BACKDOORED,
        too_weak("", clean_images=False),
    )


def test_nothing_is_said_about_nothing():
    assert next_steps(None, None) == ()
