"""An audit's findings as SARIF: the standard's rules, every word of a verdict, nothing that a clock says."""

import json
from dataclasses import replace
from typing import Any, get_args

import jsonschema
import pytest

from models.probes.undistillable.judgment import judge
from models.report import ReportDocument, render_sarif
from models.results.audit import BackdoorVerdict, TransferResult
from models.results.calibration import CalibrationResult
from models.results.undistillable import UndistillableResult
from tests.models.report.sample import audit, document
from tests.models.report.sarif_schema import LOG
from tests.models.report.test_undistillable import FOUND

WORDS = get_args(BackdoorVerdict)
REFERENCES = CalibrationResult(
    "Of 19 references none score as high: p = 0.050.",
    0.05, "wrn-cifar", "f" * 64, 19, ("mmbd",), ("mmbd",), 0.05, (0.0027, 0.1459),
)  # fmt: skip


def report(**changes: Any) -> ReportDocument:
    return replace(document(), audit=replace(audit(), **changes))


def run(sample: ReportDocument) -> dict[str, Any]:
    """Return the only run, as a reader of the file would see it."""
    log = json.loads(json.dumps(render_sarif(sample), allow_nan=False))
    jsonschema.validate(log, LOG)
    (only,) = log["runs"]
    return only


def results(rule: str, **changes: Any) -> list[dict[str, Any]]:
    return [result for result in run(report(**changes))["results"] if result["ruleId"] == rule]


def learned(word: str) -> UndistillableResult:
    return replace(judge(FOUND, seconds=1.0), word=word)


def transfer(hazard: str, **changes: Any) -> TransferResult:
    return replace(audit().transfers[0], hazard=hazard, **changes)


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("hazard", ["high", "low", "not_tested"])
@pytest.mark.parametrize("nasty", ["detected", "not_detected", "inconclusive"])
def test_every_answer_is_valid(word: str, hazard: str, nasty: str) -> None:
    found = run(
        report(
            verdict=word, transfers=(transfer(hazard),), undistillable=learned(nasty), calibration=REFERENCES
        )
    )
    assert len(found["results"]) == (2 if hazard == "not_tested" else 3)


@pytest.mark.parametrize(
    ("word", "rule", "kind", "level"),
    [
        ("detected", "PROCTOR001", "fail", "error"),
        ("suspected", "PROCTOR001", "fail", "warning"),
        ("not_detected", "PROCTOR001", "pass", "none"),
        ("inconclusive", "PROCTOR004", "fail", "note"),
    ],
)
def test_each_word_has_its_level(word: str, rule: str, kind: str, level: str) -> None:
    found = run(report(verdict=word, transfers=()))["results"]
    assert [(result["ruleId"], result["kind"], result["level"]) for result in found] == [(rule, kind, level)]
    assert found[0]["message"]["text"].startswith(audit().sentence)
    assert found[0]["properties"]["verdict"] == word


def test_a_pass_names_what_was_asked_and_calls_nothing_safe() -> None:
    (result,) = results("PROCTOR001", verdict="not_detected")
    assert "Asked were: maximum margin, known trigger, transfer." in result["message"]["text"]
    assert "safe" not in json.dumps(run(report(verdict="not_detected"))).lower()


def test_what_gave_no_answer_or_decides_nothing_was_not_asked() -> None:
    (margins,) = audit().probes
    probes = (
        margins,
        replace(margins, probe="trigger_inversion", target_label=None, statistic=0.0, nothing_won=True),
        replace(margins, probe="universal_perturbation", statistic=None),
        replace(margins, probe="head_statistics"),
    )
    (result,) = results("PROCTOR001", verdict="not_detected", probes=probes)
    assert "Asked were: maximum margin, known trigger, transfer." in result["message"]["text"]
    told = run(report(probes=probes))["invocations"][0]["toolExecutionNotifications"]
    assert {probe.probe for probe in probes} <= {note["descriptor"]["id"] for note in told}


def test_a_transfer_that_no_student_could_tell_of_was_not_asked() -> None:
    untold = {"transfers": (transfer("not_tested"),), "hazard": "not_tested"}
    (result,) = results("PROCTOR001", verdict="not_detected", **untold)
    assert "Asked were: maximum margin, known trigger." in result["message"]["text"]


@pytest.mark.parametrize(
    ("word", "level"),
    [("detected", "error"), ("suspected", "error"), ("not_detected", "warning"), ("inconclusive", "warning")],
)
def test_the_hazard_is_as_grave_as_the_verdict(word: str, level: str) -> None:
    (result,) = results("PROCTOR002", verdict=word)
    assert (result["kind"], result["level"]) == ("fail", level)
    assert "The trigger ring moves into a throw-away student" in result["message"]["text"]
    assert "over the channel ood" in result["message"]["text"]


def test_each_channel_and_trigger_has_its_hazard() -> None:
    tried = (
        transfer("high"), transfer("low", channel="gaussian"), transfer("not_tested", trigger="blend"),
    )  # fmt: skip
    high, low = results("PROCTOR002", transfers=tried)
    assert (high["kind"], low["kind"], low["level"]) == ("fail", "pass", "none")
    assert "stays below half of the images in a throw-away student" in low["message"]["text"]
    assert "a control of the same size, which leads to another class, works on" in high["message"]["text"]
    assert "nothing of other triggers, other channels" in low["message"]["text"]
    assert [
        (line["channel"], line["trigger"], line["hazard"]) for line in low["properties"]["hazardByChannel"]
    ] == [("ood", "ring", "high"), ("gaussian", "ring", "low"), ("ood", "blend", "not_tested")]


def test_a_hazard_is_told_with_its_interval_and_n() -> None:
    """A reader of the dashboard saw a bare percentage, of how many images it was hidden."""
    (result,) = results("PROCTOR002")
    assert "97% of 500 images (95 % interval 94% to 100%)" in result["message"]["text"]


@pytest.mark.parametrize(
    ("word", "rule", "kind", "level"),
    [
        ("detected", "PROCTOR003", "fail", "warning"),
        ("not_detected", "PROCTOR003", "pass", "none"),
        ("inconclusive", "PROCTOR004", "fail", "note"),
    ],
)
def test_learning_from_the_teacher_is_a_finding_of_its_own(
    word: str, rule: str, kind: str, level: str
) -> None:
    found = learned(word)
    last = run(report(undistillable=found))["results"][-1]
    assert (last["ruleId"], last["kind"], last["level"]) == (rule, kind, level)
    assert last["message"]["text"] == found.sentence
    assert last["properties"]["seeds"] == [7, 1, 2, 3, 4, 5]


def test_two_questions_without_an_answer_are_two_findings() -> None:
    found = results("PROCTOR004", verdict="inconclusive", undistillable=learned("inconclusive"))
    assert len({result["partialFingerprints"]["primaryLocationLineHash"] for result in found}) == 2


def test_every_reference_resolves() -> None:
    found = run(report(undistillable=learned("detected")))
    driver = found["tool"]["driver"]
    for reference in driver["supportedTaxonomies"]:
        assert found["taxonomies"][reference["index"]]["name"] == reference["name"]
    taxa = [relation["target"] for rule in driver["rules"] for relation in rule["relationships"]]
    taxa += [taxon for result in found["results"] for taxon in result.get("taxa", [])]
    for reference in taxa:
        taxonomy = found["taxonomies"][reference["toolComponent"]["index"]]
        assert taxonomy["name"] == reference["toolComponent"]["name"]
        assert taxonomy["taxa"][reference["index"]]["id"] == reference["id"]
    for result in found["results"]:
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        (location,) = result["locations"]
        place = location["physicalLocation"]["artifactLocation"]
        assert found["artifacts"][place["index"]]["location"]["uri"] == place["uri"]
    (invocation,) = found["invocations"]
    for notification in invocation["toolExecutionNotifications"]:
        reference = notification["descriptor"]
        assert driver["notifications"][reference["index"]]["id"] == reference["id"]
        if rule := notification.get("associatedRule"):
            assert driver["rules"][rule["index"]]["id"] == rule["id"]


def test_the_rules_are_related_to_the_catalogs() -> None:
    found = run(report())
    related = {
        rule["name"]: [relation["target"]["id"] for relation in rule["relationships"]]
        for rule in found["tool"]["driver"]["rules"]
    }
    assert related == {
        "BackdoorBehavior": ["AML.T0018", "AML.T0020", "CWE-506"],
        "BackdoorMovesIntoStudents": ["AML.T0018", "T6-AT-010"],
        "UndistillableTeacher": ["T6-AT-010"],
        "AuditWithoutAnswer": ["AML.T0018", "T6-AT-010"],
    }
    assert [[taxon["id"] for taxon in result["taxa"]] for result in found["results"]] == [
        ["AML.T0018", "AML.T0020", "CWE-506"],
        ["AML.T0018", "T6-AT-010"],
    ]


def test_two_triggers_on_one_channel_are_two_findings() -> None:
    found = results("PROCTOR002", transfers=(transfer("high"), transfer("high", trigger="blend")))
    assert len({result["partialFingerprints"]["primaryLocationLineHash"] for result in found}) == 2


def test_what_was_not_found_is_in_no_category() -> None:
    found = run(report(verdict="not_detected", transfers=(transfer("low"),)))["results"]
    assert [result for result in found if "taxa" in result] == []


def test_the_same_audit_gives_the_same_bytes_however_long_it_took() -> None:
    slow = report(seconds=999.0, probes=tuple(replace(probe, seconds=99.0) for probe in audit().probes))
    later = replace(slow, job=replace(slow.job, started_at="2027-07-07 07:07:07", attempt=2))
    assert json.dumps(render_sarif(document())) == json.dumps(render_sarif(document()))
    assert json.dumps(render_sarif(later)) == json.dumps(render_sarif(document()))


def test_a_finding_is_known_again_on_the_same_bytes_only() -> None:
    def fingerprint(sample: ReportDocument) -> str:
        return str(run(sample)["results"][0]["partialFingerprints"]["proctorFinding/v1"])

    first = fingerprint(report())
    other = replace(document().inspection, sha256="e" * 64)
    assert fingerprint(report(verdict="suspected", seed=8, sentence="Another one.")) == first
    assert fingerprint(report(target_label=4)) != first
    assert fingerprint(replace(report(), inspection=other)) != first


def test_no_number_that_json_lacks() -> None:
    probe = replace(audit().probes[0], statistic=float("inf"), p_value=float("nan"))
    scores = [
        notification["properties"]
        for notification in run(report(probes=(probe,)))["invocations"][0]["toolExecutionNotifications"]
        if "properties" in notification
    ]
    assert scores == [{"targetLabel": 3, "conspicuous": True, "calibrationReferences": 0}]


def test_the_evidence_is_in_the_properties() -> None:
    (result,) = results("PROCTOR001", calibration=REFERENCES)
    properties = result["properties"]
    assert (properties["pValue"], properties["alpha"]) == (0.05, 0.05)
    assert properties["falsePositiveBand"] == [0.0027, 0.1459]
    assert (properties["calibration"]["name"], properties["calibration"]["sha256"]) == ("wrn-cifar", "f" * 64)
    assert (properties["targetLabel"], properties["seeds"], properties["tier"]) == (3, [7], 2)
    assert properties["notTested"] == ["Source-specific triggers."]


def test_without_references_no_p_value_is_claimed() -> None:
    (result,) = results("PROCTOR001", calibration=None)
    assert not {"pValue", "alpha", "falsePositiveBand", "calibration"} & set(result["properties"])


def test_the_checkpoint_is_the_artifact() -> None:
    found = run(report())
    (artifact,) = found["artifacts"]
    assert artifact["location"]["uri"] == "suspect.pt"
    assert artifact["hashes"] == {"sha-256": "a" * 64}
    assert found["automationDetails"]["id"] == "proctor/suspect.pt/job_01"
    assert found["properties"]["datasets"][0]["sha256"] == "d" * 64


def test_the_version_is_that_of_the_job() -> None:
    sample = report()
    known = replace(sample, provenance=replace(sample.provenance, versions={"proctor": "1.2.3"}))
    assert run(known)["tool"]["driver"]["version"] == "1.2.3"
    assert "version" not in run(sample)["tool"]["driver"]


@pytest.mark.parametrize(
    ("name", "uri"),
    [
        ("javascript:x", "javascript%3Ax"),
        ("a b/../c.pt", "a%20b%2F..%2Fc.pt"),
        ("%2e%2e.pt", "%252e%252e.pt"),
        ("Prüfling.pt", "Pr%C3%BCfling.pt"),
        ("x\udc80.pt", "x%3F.pt"),
    ],
)
def test_a_hostile_file_name_is_no_link_and_no_path(name: str, uri: str) -> None:
    assert run(document(name))["artifacts"][0]["location"]["uri"] == uri


def test_a_message_holds_no_placeholder_and_no_link() -> None:
    (result,) = results("PROCTOR001", sentence="See {0} and [here](https://example.org).")
    assert result["message"]["text"] == "See {{0}} and [here] (https://example.org)."


def test_a_job_without_an_audit_has_no_findings() -> None:
    with pytest.raises(ValueError, match="audit"):
        render_sarif(replace(document(), audit=None))
