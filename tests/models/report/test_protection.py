"""The report of a protect job."""

import json
from dataclasses import replace

from models.report import render_html
from models.results.protection import (
    PairedDifference,
    ProtectionResult,
    ProtectionTraining,
    StudentTriple,
)
from models.results.training import CurvePoint
from models.results.verification import Check
from tests.models.report.sample import SPEC, document, rate

LIMIT = "It does not hinder anyone who copies <the weights>."


def difference(value: float) -> PairedDifference:
    return PairedDifference(value, value - 0.02, value + 0.02, 0.0004, 500)


def triple(seed: int) -> StudentTriple:
    return StudentTriple(seed, rate(0.9), rate(0.93), rate(0.61), difference(-0.32), difference(-0.29))


def protection(accepted: bool, repetitions: int) -> ProtectionResult:
    return ProtectionResult(
        images=500,
        original_accuracy=rate(0.98),
        nasty_accuracy=rate(0.97),
        accuracy_change=difference(-0.01),
        agreement=rate(0.96),
        student_architecture="plain-cnn-w16",
        student_temperature=4.0,
        distillation_weight=0.9,
        student_steps=200,
        students=tuple(triple(seed) for seed in range(repetitions)),
        mean_nasty_minus_original=-0.32,
        mean_nasty_minus_labels=-0.29,
        spread_nasty_minus_original=0.011 if repetitions > 1 else None,
        spread_nasty_minus_labels=0.012 if repetitions > 1 else None,
        checks=(Check("accuracy lost", 0.01, 0.02, accepted, "why"),),
        accepted=accepted,
        sentence="The protected network is right on 97.0% of 500 held-out images.",
        limits=(LIMIT,),
        seconds=3.0,
    )


def training() -> ProtectionTraining:
    curve = tuple(CurvePoint(step, {"label_loss": 1.0, "divergence": float(step)}) for step in (1, 2, 3))
    return ProtectionTraining(SPEC, "original", 0.04, 4.0, 2_000, 300, 19_200, 31.0, 7, {}, curve)


def rendered(accepted: bool = True, repetitions: int = 1) -> str:
    base = document()
    bare = replace(base, job=replace(base.job, kind="protect"), audit=None, distillation=None, pictures=())
    return render_html(
        replace(
            bare,
            verification=None,
            protection=protection(accepted, repetitions),
            protection_training=training(),
        )
    )


def test_the_result_and_its_sentence_come_first() -> None:
    html = rendered()
    assert "Proctor report: a network protected against distillation" in html
    assert html.index("Protected</b>The protected network is right") < html.index("What a student learns")
    assert "Not protected well enough" in rendered(accepted=False)


def test_three_students_stand_side_by_side_with_intervals() -> None:
    html = rendered()
    for figure in ("90.0%", "93.0%", "61.0%", "-29.0 points (-31.0 to -27.0"):
        assert figure in html
    assert "standard deviation" not in html


def test_repetitions_have_a_column_each_and_a_spread() -> None:
    html = rendered(repetitions=2)
    assert "seed 2" in html
    assert "standard deviation 1.2" in html


def test_what_it_does_not_do_is_said_and_escaped() -> None:
    assert "copies &lt;the weights&gt;" in rendered()


def test_how_it_was_made_has_both_curves() -> None:
    html = rendered()
    assert "on from the original&#39;s weights" in html or "on from the original's weights" in html
    assert html.count("<svg") == 2
    assert "label loss" in html and "divergence" in html


def test_the_json_has_it_all() -> None:
    content = json.loads(
        json.dumps(
            replace(document(), protection=protection(True, 2), protection_training=training()).to_json()
        )
    )
    assert len(content["protection"]["students"]) == 2
    assert content["protection_training"]["omega"] == 0.04
