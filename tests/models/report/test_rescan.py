"""What the report says of classes that only a student shows."""

from __future__ import annotations

import json
from dataclasses import replace

from models.report import ReportDocument, render_html
from models.report.next_steps import ONLY_IN_THE_STUDENT
from models.results.rescan import ClassScan, DormantClass, StudentRescan
from tests.models.report.sample import document

RESCAN = StudentRescan(
    budget="quick",
    image_source="surrogate patches",
    classes=10,
    scans=(
        ClassScan("teacher", "mmbd", 4, 0.1, False, 0.1),
        ClassScan("defended", "mmbd", 7, 0.6931, True, -0.5),
    ),
    dormant=(DormantClass("defended", 7, ("mmbd",)),),
    sentence="What stands out in a student and not in the teacher: class 7.",
    warnings=("Class 7 stands out in the defended student and not in the teacher.",),
    failures=(),
    seconds=9.0,
)


def scanned(rescan: StudentRescan) -> ReportDocument:
    sample = document()
    assert sample.verification is not None
    changed = replace(sample.verification, rescan=rescan, warnings=rescan.warnings)
    return replace(sample, verification=changed)


def test_the_warning_stands_beside_the_acceptance_and_leaves_it() -> None:
    page = render_html(scanned(RESCAN))
    assert "Student accepted" in page
    assert page.index("Only the student shows this") < page.index("The student beside its teacher")


def test_the_table_has_teacher_and_students_as_ratios() -> None:
    page = render_html(scanned(RESCAN))
    assert (
        "<td>teacher</td><td>Maximum margin</td>"
        '<td>4</td><td class="num">1.11</td><td class="num">1.11</td><td>no' in page
    )
    assert (
        "<td>defended</td><td>Maximum margin</td>"
        '<td>7</td><td class="num">2.00</td><td class="num">0.61</td><td>yes' in page
    )
    assert "odd for harmless reasons" in page


def test_the_next_step_follows_the_warning() -> None:
    assert scanned(RESCAN).next_steps[0] == ONLY_IN_THE_STUDENT
    silent = scanned(replace(RESCAN, dormant=(), warnings=()))
    assert ONLY_IN_THE_STUDENT not in silent.next_steps
    assert "Only the student shows this" not in render_html(silent)


def test_without_a_rescan_the_report_says_nothing_of_it() -> None:
    assert "What only a student shows" not in render_html(document())


def test_json_has_every_number() -> None:
    content = json.loads(json.dumps(scanned(RESCAN).to_json()))
    assert content["schema_version"] == 2
    assert content["verification"]["rescan"]["scans"][1]["statistic"] == 0.6931
    assert content["verification"]["warnings"] == list(RESCAN.warnings)
