import io

import pytest
from rich.console import Console, RenderableType

from app.commands.tables import job_text, jobs_table, rate_text, students_table


def rate(value: float) -> dict:
    return {"value": value, "low": value - 0.01, "high": value + 0.01, "n": 100}


def network(role: str, success: float) -> dict:
    attack = {
        "trigger": "[ring]",
        "origin": "given",
        "target_label": 0,
        "rate": rate(success),
        "clean_rate": rate(0.0),
    }
    return {
        "role": role,
        "architecture": "wrn-10-2",
        "parameters": 303_706,
        "size_bytes": 1_233_750,
        "accuracy": rate(0.9),
        "attacks": [attack],
    }


VERIFICATION = {
    "networks": [network("teacher", 1.0), network("undefended", 0.8), network("defended", 0.02)],
    "sentence": "The student is accepted.",
}


def rendered(renderable: RenderableType) -> str:
    console = Console(file=io.StringIO(), width=80)
    console.print(renderable)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_students_stand_beside_their_teacher_in_80_characters() -> None:
    lines = rendered(students_table(VERIFICATION)).splitlines()
    header = next(line for line in lines if "teacher" in line)
    assert header.index("teacher") < header.index("undefended student") < header.index(" defended student")
    success = next(line for line in lines if "0.020 [0.010, 0.030]" in line)
    assert success.index("1.000 [0.990, 1.010]") < success.index("0.800 [0.790, 0.810]")
    assert sum("0.900 [0.890, 0.910]" in line for line in lines) == 1
    assert next(line for line in lines if "parameters" in line).count("303,706") == 3


def test_trigger_names_are_not_read_as_markup() -> None:
    assert "[ring]" in rendered(students_table(VERIFICATION))


def test_what_was_not_measured_says_so() -> None:
    assert rate_text(None) == "not measured"


def test_a_failed_job_says_why_and_what_to_do() -> None:
    error = {"code": "training_failed", "detail": "The loss [is] not finite.", "hint": "Lower the rate."}
    text = rendered(
        job_text({"id": "job_1", "kind": "clean", "status": "failed", "error": error, "result": None})
    )
    assert "The loss [is] not finite." in text
    assert "Lower the rate." in text


def test_a_clean_job_shows_verdict_and_students() -> None:
    result = {"probe": {"sentence": "A backdoor leads to class 0."}, "verify": VERIFICATION}
    text = rendered(job_text({"id": "job_1", "kind": "clean", "status": "succeeded", "result": result}))
    assert "A backdoor leads to class 0." in text
    assert "The student is accepted." in text
    assert "defended student" in text
    assert "Warning" not in text


def test_what_only_the_student_shows_is_a_warning() -> None:
    result = {"verify": {**VERIFICATION, "warnings": ["Class [7] stands out in it alone."]}}
    text = rendered(job_text({"id": "job_1", "kind": "distill", "status": "succeeded", "result": result}))
    assert "Warning:  Class [7] stands out in it alone." in text


@pytest.mark.parametrize(("word", "shown"), [("detected", True), ("not_detected", False)])
def test_a_nasty_teacher_is_named(word: str, shown: bool) -> None:
    nasty = {"word": word, "sentence": "Students learn badly from it."}
    job = {
        "id": "job_1",
        "kind": "audit",
        "status": "succeeded",
        "result": {"probe": {"sentence": "No backdoor was detected.", "undistillable": nasty}},
    }
    assert ("Students learn badly from it." in rendered(job_text(job))) == shown


def test_a_protect_job_shows_the_network_and_what_it_does_to_students() -> None:
    row = {"original": rate(0.99), "nasty": rate(0.5), "labels": rate(0.8)}
    measured = {
        "sentence": "A student [of it] learns badly.",
        "original_accuracy": rate(0.97),
        "nasty_accuracy": rate(0.96),
        "students": [row, row],
    }
    job = {
        "id": "job_1",
        "kind": "protect",
        "status": "succeeded",
        "result": {"protect": {}, "measure": measured},
    }
    text = rendered(job_text(job))
    assert "A student [of it] learns badly." in text
    line = next(line for line in text.splitlines() if line.strip().startswith("network "))
    assert line.index("0.970 [0.960, 0.980]") < line.index("0.960 [0.950, 0.970]")
    assert sum("0.500 [0.490, 0.510]" in line for line in text.splitlines()) == 2


def test_jobs_are_listed_one_a_line() -> None:
    job = {
        "id": "job_1",
        "kind": "audit",
        "status": "running",
        "stage": "probe",
        "verdict": None,
        "accepted": None,
        "created_at": "2026-01-02T03:04:05.678Z",
    }
    text = rendered(jobs_table([job, {**job, "id": "job_2", "accepted": False}]))
    assert "2026-01-02 03:04:05" in text
    assert [line for line in text.splitlines() if "job_2" in line and " no " in line]


def test_a_jobs_hint_is_in_the_words_of_options() -> None:
    error = {"code": "x", "detail": "d", "hint": "Declare the architecture by its name."}
    job = {"id": "job_1", "kind": "clean", "status": "failed", "error": error, "result": None}
    assert "--architecture" in rendered(job_text(job))
