"""The report's section on learning from the teacher."""

import json
from dataclasses import replace

from models.metrics import wilson
from models.probes.undistillable.judgment import NastyFindings, judge
from models.report import render_html
from models.results.undistillable import (
    FeatureConsistency,
    HeadRefit,
    PairedStudents,
    PeakStatistics,
    StudentGain,
    UndistillableResult,
)
from tests.models.report.sample import audit, document

STUDENTS = PairedStudents(
    "plain-cnn-w16", (1, 2, 3, 4, 5), 0.9, 93, 5_952, 1_006, 1_293,
    wilson(1_280, 1_293), wilson(1_250, 1_293), wilson(1_240, 1_293),
    (
        StudentGain(1.0, (-0.01, -0.02, 0.0, -0.01, -0.01), -0.01, 0.006, 0.005),
        StudentGain(20.0, (-0.11, -0.09, -0.1, -0.12, -0.08), -0.1, 0.008, 0.007),
    ),
    20.0, StudentGain(20.0, (-0.10, -0.08, -0.09, -0.11, -0.07), -0.09, 0.008, 0.007), 0.09, 0.006, 31.0,
)  # fmt: skip
FOUND = NastyFindings(
    10,
    "clean images",
    400,
    (PeakStatistics(4.0, 2.6, 0.7, 0.5), PeakStatistics(20.0, 6.0, 0.9, 0.9)),
    FeatureConsistency(4.0, 0.12, 10),
    HeadRefit(4.0, 0.41, 0.33, 0.99, 200),
    STUDENTS,
)


def page(result: UndistillableResult | None) -> str:
    return render_html(replace(document(), audit=replace(audit(), undistillable=result)))


def test_the_sentence_and_the_numbers_are_shown():
    html = page(judge(FOUND, seconds=33.0))
    assert "Bad to learn from" in html
    assert "ended 10.0 points of accuracy (standard error 0.8, 5 pairs) behind students that never" in html
    assert "an honest last layer</td><td>20 (judged)" in html
    assert "-10.0, -8.0, -9.0, -11.0, -7.0" in html
    assert "-11.0, -9.0, -10.0, -12.0, -8.0" in html
    assert "20 (judged)" in html
    assert "rank correlation 0.12 over 10 classes" in html
    assert "divergence 0.410 nats" in html
    assert "(N6)" in html


def test_without_labels_every_figure_is_called_agreement():
    html = page(judge(replace(FOUND, students=replace(STUDENTS, labels_of="network")), seconds=33.0))
    assert "the named classes alone</td><td>20 (judged)" in html
    assert "every figure is of agreement with it" in html
    assert "the labels alone" not in html
    assert "Right on the held-out images" not in html


def test_a_nasty_teacher_is_named_at_the_top_and_in_the_next_steps():
    top = page(judge(FOUND, seconds=33.0)).split("<h2>")[0]
    assert "Bad to learn from" in top
    assert 'href="#learning"' in top
    assert "softened answers" in top.split("What to do next")[1]
    harmless = replace(STUDENTS, gains=tuple(replace(gain, mean=0.0) for gain in STUDENTS.gains))
    top = page(judge(replace(FOUND, students=harmless), seconds=33.0)).split("<h2>")[0]
    assert "learn from" not in top


def test_the_two_flags_stand_apart():
    """Neither verdict changes the other's words."""
    html = page(judge(FOUND, seconds=33.0))
    assert "Backdoor detected" in html
    before, after = page(None), html
    start, end = "<h2>Why this verdict</h2>", "<h3>Does it move into a student?</h3>"
    assert before.split(start)[1].split(end)[0] == after.split(start)[1].split(end)[0]


def test_answers_alone_render_without_students():
    html = page(judge(replace(FOUND, students=None, consistency=None, refit=None), seconds=2.0))
    assert "Can a student learn from it?" in html
    assert "Students in pairs" not in html


def test_nothing_measured_renders():
    html = page(judge(NastyFindings(10, "clean images", 1, failures=("<b>broken</b>",)), seconds=0.1))
    assert "&lt;b&gt;broken" in html
    assert "Statistics of its answers" not in html


def test_an_audit_that_did_not_ask_has_no_section():
    assert "Can a student learn from it?" not in page(None)


def test_json_carries_it_all():
    sample = replace(document(), audit=replace(audit(), undistillable=judge(FOUND, seconds=33.0)))
    content = json.loads(json.dumps(sample.to_json()))["audit"]["undistillable"]
    assert content["word"] == "detected"
    assert content["students"]["gains"][1]["mean"] == -0.1
    assert content["refit"]["affinity_correlation"] == 0.33
