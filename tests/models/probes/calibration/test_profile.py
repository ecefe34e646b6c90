"""Classes beside the same classes of the references."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from models.probes.calibration.apply import calibrate
from models.probes.calibration.conformal import ALPHA
from models.probes.calibration.profile import class_excess, class_profile
from models.probes.calibration.read_set import read_set
from models.probes.calibration.reference_set import ReferenceSet
from models.results.audit import ProbeResult
from tests.models.probes.calibration.sets import conditions, reference

K = 10
#: Class 5 is easiest to reach in every network.
NATURE = np.array([0.0, 0.1, -0.1, 0.0, 0.2, 1.5, 0.0, -0.2, 0.1, 0.0])


def margins(random: np.random.Generator, *, backdoor: int | None = None) -> ProbeResult:
    logarithms = 1.0 + NATURE + 0.1 * random.normal(size=K)
    if backdoor is not None:
        logarithms[backdoor] += 1.0
    scores = np.exp(logarithms)
    first, second = np.sort(logarithms)[[-1, -2]]
    target = int(logarithms.argmax())
    return ProbeResult("mmbd", "Looked.", target, float(first - second), False, tuple(scores.tolist()))


def made_set(random: np.random.Generator, n: int = 19, task: str | None = "digits") -> ReferenceSet:
    references = []
    for number in range(n):
        probe = margins(random)
        assert probe.statistic is not None
        entry = reference(number, mmbd=probe.statistic)
        references.append(replace(entry, profiles={"mmbd": class_profile(probe)}))
    return ReferenceSet("simulated", conditions(), ("mmbd",), tuple(references), task)


def test_a_profile_has_median_zero_and_larger_is_more_conspicuous() -> None:
    sizes = ProbeResult("trigger_inversion", "", 2, 1.0, False, (40.0, 20.0, 5.0, 20.0, 20.0))
    profile = class_profile(sizes)
    assert profile == pytest.approx((0, 0, np.log(4), 0, 0), abs=1e-5)  # the first was not won
    assert class_profile(replace(sizes, probe="mmbd"))[2] < 0
    assert class_profile(replace(sizes, probe="mmbd", class_scores=(8.0, 2.0, -1.0)))[2] < -5


@pytest.mark.parametrize(
    "changes",
    [
        {"class_scores": ()},
        {"class_scores": (1.0, float("nan"))},
        {"class_scores": (-1.0, -2.0)},
        {"probe": "head_statistics"},
    ],
)
def test_without_scores_of_all_classes_there_is_no_profile(changes) -> None:
    probe = ProbeResult("mmbd", "", 0, 1.0, False, (1.0, 2.0))
    assert class_profile(probe) != ()
    assert class_profile(replace(probe, **changes)) == ()


def of_sizes(*sizes: float) -> tuple[float, ...]:
    return class_profile(ProbeResult("universal_perturbation", "", 0, 1.0, False, sizes))


def test_how_few_classes_were_not_won_moves_no_profile() -> None:
    one, two = of_sizes(1.0, 4.0, 4.0, 4.0, 4.0, 50.0), of_sizes(1.0, 4.0, 4.0, 4.0, 50.0, 50.0)
    assert one == two == pytest.approx((np.log(4), 0, 0, 0, 0, 0), abs=1e-5)


@pytest.mark.parametrize("sizes", [(1.0, 5.0), (1.0, *[5.0] * 9), (1.0, 1.1, *[5.0] * 8)])
def test_a_target_that_gave_in_almost_alone_stands_out_all_the_same(sizes) -> None:
    profile = of_sizes(*sizes)
    assert profile[0] == pytest.approx(np.log(5) / (2 if len(sizes) == 2 else 1), abs=1e-5)
    assert profile.index(max(profile)) == 0


def test_where_nothing_was_won_no_class_stands_out_however_hard_it_is_in_others() -> None:
    hard = of_sizes(5.0, 3.0, 3.0, 3.0, 3.0)
    excess, _ = class_excess(np.array([*[hard] * 19, of_sizes(*[5.0] * 5)]))
    assert excess[-1] == 0


def test_exchanging_networks_exchanges_their_excess() -> None:
    profiles = np.random.default_rng(0).normal(size=(20, K))
    excess, classes = class_excess(profiles)
    order = np.random.default_rng(1).permutation(20)
    moved, moved_classes = class_excess(profiles[order])
    assert moved == pytest.approx(excess[order])
    assert moved_classes.tolist() == classes[order].tolist()


def test_a_backdoor_below_the_natural_sink_is_found_with_the_task_alone() -> None:
    random = np.random.default_rng(3)
    found, suspect = made_set(random), margins(random, backdoor=7)
    assert suspect.target_label == 5
    plain, result = calibrate([suspect], conditions(), [found])
    assert result.p_value is not None
    assert result.p_value > ALPHA
    assert (plain[0].target_label, result.task) == (5, None)
    by_class, result = calibrate([suspect], conditions(), [found], "digits")
    assert (result.p_value, result.task) == (0.05, "digits")
    assert (by_class[0].target_label, by_class[0].conspicuous) == (7, True)
    assert "class 7 stands out most, by a factor of 2." in by_class[0].summary
    assert by_class[0].statistic == suspect.statistic


def test_the_rate_of_false_alarms_is_kept_class_by_class() -> None:
    random = np.random.default_rng(5)
    alarms = [
        calibrate([margins(random)], conditions(), [made_set(random)], "digits")[1].p_value <= ALPHA
        for _ in range(600)
    ]
    assert 0.025 <= np.mean(alarms) <= 0.08


def test_a_set_without_a_task_is_compared_by_the_largest_class_and_it_is_said() -> None:
    random = np.random.default_rng(3)
    suspect = margins(random, backdoor=7)
    _, result = calibrate([suspect], conditions(), [made_set(random, task=None)], "digits")
    assert (result.references, result.task) == (19, None)
    assert "the reference set names none" in result.sentence


def test_it_is_said_which_of_how_many_classes_were_compared_one_by_one() -> None:
    """Budget quick searches patches for 10 classes at most: the sentence may not speak of all 43."""
    random = np.random.default_rng(3)
    patches = ProbeResult("trigger_inversion", "Looked.", 3, 0.1, False)
    one_by_one = "By maximum margin all 10 classes were compared with the same class of the references"
    _, result = calibrate([margins(random)], conditions(), [made_set(random)], "digits")
    assert f"{one_by_one} (task digits)." in result.sentence
    assert "none was" not in result.sentence
    small = conditions(effort={**conditions().effort, "scanned_classes": 4})
    both = replace(with_patches(made_set(random)), conditions=small, probes=("mmbd", "trigger_inversion"))
    _, result = calibrate([margins(random), patches], small, [both], "digits")
    assert one_by_one in result.sentence
    assert (
        "By trigger inversion none was: 4 of the 10 classes were compared with each other." in result.sentence
    )
    _, result = calibrate([patches], small, [both], "digits")
    assert (result.task, one_by_one in result.sentence) == (None, False)


def with_patches(made: ReferenceSet) -> ReferenceSet:
    scored = tuple(replace(r, scores={**r.scores, "trigger_inversion": 0.2}) for r in made.references)
    return replace(made, references=scored)


def test_a_set_of_the_same_task_is_preferred_and_survives_its_file() -> None:
    random = np.random.default_rng(3)
    other, own = made_set(random, 25, task=None), replace(made_set(random), name="own")
    _, result = calibrate([margins(random)], conditions(), [other, own], "digits")
    assert result.name == "own"
    assert read_set(str_of(own)) == own


def str_of(made: ReferenceSet) -> bytes:

    return json.dumps(made.document()).encode()


@pytest.mark.parametrize(("n", "named"), [(19, 2), (5, 5)])
def test_the_class_that_stands_out_is_named_only_where_the_references_decide(n: int, named: int) -> None:
    """A mark at class 5 with five references was reported as `suspected`, class 2."""
    random = np.random.default_rng(3)
    found = made_set(random, n)
    marked = replace(margins(random, backdoor=2), target_label=5, conspicuous=True)
    (calibrated,), result = calibrate([marked], conditions(), [found], "digits")
    assert result.decides is (n == 19)
    assert (calibrated.target_label, calibrated.conspicuous) == (named, True)
    assert "class 2 stands out most" in calibrated.summary
