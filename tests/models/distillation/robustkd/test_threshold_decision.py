from dataclasses import replace

import pytest

from models.distillation.robustkd.threshold_decision import describe
from models.distillation.robustkd.threshold_search import Candidate
from models.recipes.robustkd import RobustKDRecipe
from models.results.training import Decision

RECIPE = RobustKDRecipe(max_accuracy_drop=0.03, max_trigger_success=0.1)
PLANTED = {"canary_patch": 0.99, "canary_blend": 0.2}


def decision(candidate: Candidate, planted: dict[str, float] | None = None) -> Decision:
    return describe(candidate, [candidate], planted or {}, RECIPE)


def test_decision_says_that_accuracy_decided_alone() -> None:
    found = decision(Candidate(0.4, 0.01, None, 0.5))
    assert "no recovered trigger" in found.text
    assert "Accuracy decided alone" in found.text
    assert "threshold_0.4_trigger_success" not in found.values
    assert "threshold_0.4_canary_success" not in found.values


def test_decision_admits_lost_accuracy() -> None:
    assert "more than the 3.0 allowed" in decision(Candidate(0.4, 0.25, 0.0, 0.5)).text


def test_decision_holds_triggers_canaries_and_their_disagreement() -> None:
    candidate = Candidate(0.4, 0.01, 0.05, 0.5, {"canary_patch": 0.35}, 0.02)
    found = decision(candidate, PLANTED)
    assert "1 canaries planted" in found.text
    assert "30.0 points apart" in found.text
    assert found.values["threshold_0.4_disagreement"] == pytest.approx(0.3)
    assert found.values["threshold_0.4_canary_success"] == 0.35
    assert found.values["threshold_0.4_canary_patch"] == 0.35
    assert found.values["threshold_0.4_copy_accuracy_drop"] == 0.02
    assert found.values["canary_blend_planted"] == 0.2


def test_decision_warns_where_no_threshold_removed_the_canaries() -> None:
    kept = Candidate(0.4, 0.01, None, 0.5, {"canary_patch": 0.35}, 0.02)
    assert "a backdoor may be left" in decision(kept, PLANTED).text
    assert "a backdoor may be left" not in decision(replace(kept, canaries={"canary_patch": 0.1})).text


def test_decision_says_when_no_canary_took() -> None:
    found = decision(Candidate(0.4, 0.01, None, 0.5, {}, 0.0), {"canary_patch": 0.1})
    assert "none of 1 canaries took" in found.text
    assert "Accuracy decided alone" in found.text
