from dataclasses import replace

from models.report.next_steps import STILL_BACKDOORED, TOO_WEAK, next_steps
from models.results.verification import Check
from tests.models.report.sample import audit, document


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
    assert "not shown to remove" in STILL_BACKDOORED


def test_a_weak_student_is_told_how_to_grow():
    assert next_steps(None, verified(check(WEAK, False), check("attack success", None))) == (TOO_WEAK,)


def test_both_can_be_wrong():
    assert next_steps(None, verified(check(WEAK, False), check(ATTACK, False))) == (
        STILL_BACKDOORED,
        TOO_WEAK,
    )


def test_nothing_is_said_about_nothing():
    assert next_steps(None, None) == ()
