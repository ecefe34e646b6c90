"""What a SARIF run says beside its findings: who was asked, what they cannot see, and what to doubt."""

from typing import Any

from models.recipes.probe_catalog import NASTY_PROBES, PROBES
from models.results.audit import ProbeResult
from models.results.teacher_check import LabelCheck, NormalizationCheck, TeacherCheck
from tests.models.report.sample import document, rate
from tests.models.report.test_sarif import learned, report, run


def notifications(**changes: Any) -> list[dict[str, Any]]:
    (invocation,) = run(report(**changes))["invocations"]
    found: list[dict[str, Any]] = invocation["toolExecutionNotifications"]
    return found


def test_everyone_who_was_asked_says_what_they_cannot_see() -> None:
    blind = {facts.name: facts.blind_to for facts in (*PROBES, *NASTY_PROBES)}
    told = {
        notification["descriptor"]["id"]: notification["message"]["text"]
        for notification in notifications(undistillable=learned("detected"))
    }
    assert told["mmbd"].endswith("One class stands out. Cannot see: all-to-all.")
    asked = ["given_trigger", "transfer", *(facts.name for facts in NASTY_PROBES)]
    assert {name: told[name].split("Cannot see: ")[1] for name in asked} == {
        name: f"{blind[name]}." for name in asked
    }


def test_nobody_who_was_not_asked_is_named() -> None:
    found = notifications(triggers=(), transfers=(), not_tested=())
    assert [notification["descriptor"]["id"] for notification in found] == ["input_warning", "mmbd"]


def test_a_probe_of_an_earlier_version_is_kept() -> None:
    old = ProbeResult("spectral", "It saw nothing.", None, None, False)
    (told,) = [note for note in notifications(probes=(old,)) if note["descriptor"]["id"] == "spectral"]
    assert told["message"]["text"] == "spectral. It saw nothing. Cannot see: not recorded."


def test_doubts_about_the_inputs_are_warnings_and_come_first() -> None:
    labels = LabelCheck(rate(0.1), (), (), False, None, "Doubtful.", True)
    check = TeacherCheck(
        500, labels, NormalizationCheck((), None, False, document().inspection.normalization, ""), ("Doubt.",)
    )
    first, second, *rest = notifications(teacher_check=check)
    assert [note["message"]["text"] for note in (first, second)] == ["w1", "Doubt."]
    assert (first["level"], second["level"]) == ("warning", "warning")
    assert {note["level"] for note in rest} == {"note"}


def test_each_probe_is_tied_to_its_rule() -> None:
    found = notifications(undistillable=learned("detected"))
    assert {
        note["descriptor"]["id"]: note["associatedRule"]["id"] for note in found if "associatedRule" in note
    } == {
        "mmbd": "PROCTOR001",
        "given_trigger": "PROCTOR001",
        "transfer": "PROCTOR002",
        **{facts.name: "PROCTOR003" for facts in NASTY_PROBES},
    }
