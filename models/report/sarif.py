"""An audit's findings as SARIF 2.1.0 (OASIS), for dashboards that collect findings of many tools.

Only results of kind ``fail`` have a level; what was asked and not found is of kind ``pass``, and its message
names what was asked. An audit without an answer would be of kind ``open`` in the standard's words, which may
not have a level, so that dashboards drop it; here it breaks a rule of its own with level ``note``. Nothing in
the document is taken from a clock, not even how long a probe took: equal audits give equal documents.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any
from urllib.parse import quote

from models.report.document import ReportDocument
from models.report.sarif_findings import Finding, findings_of, probes_that_ran, title_of
from models.report.sarif_rules import (
    BACKDOOR,
    HAZARD,
    INPUT_WARNING,
    NOT_TESTED,
    RULE_INDEX,
    RULES,
    Json,
    Level,
    driver,
    facts_of,
    notification_reference,
    taxon_references,
    taxonomies,
)
from models.results.audit import AuditResult, ProbeResult

SCHEMA_URI = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
#: A network has no lines, but GitHub's code scanning wants a region: the start stands for the whole file.
REGION = {"startLine": 1, "startColumn": 1, "endLine": 1, "endColumn": 1}
#: Rules whose results belong to the entries that the rule is related to; the others are merely about them.
CATEGORIZED = frozenset({BACKDOOR, HAZARD})


def render_sarif(document: ReportDocument) -> Json:
    """Write an audit's findings as a SARIF log.

    Args:
        document: The report; of it, what the audit found about the teacher. Students are not in it.

    Returns:
        A log with one run, ready for ``json.dumps``: no NaN, no infinity.

    Raises:
        ValueError: The job made no audit.
    """
    audit = document.audit
    if audit is None:
        raise ValueError("only a job with an audit has findings")
    inspection = document.inspection
    location = {"uri": quote(document.job.teacher_filename, safe="", errors="replace")}
    run = {
        "tool": {"driver": driver(document.provenance.versions.get("proctor"))},
        "taxonomies": taxonomies(),
        "automationDetails": {"id": f"proctor/{location['uri']}/{document.job.id}"},
        "invocations": [
            {"executionSuccessful": True, "toolExecutionNotifications": list(_notifications(document, audit))}
        ],
        "artifacts": [
            {
                "location": location,
                "length": inspection.size_bytes,
                "roles": ["analysisTarget"],
                "hashes": {"sha-256": inspection.sha256},
                "properties": {
                    "architecture": inspection.architecture.name,
                    "canonicalSha256": inspection.canonical_sha256,
                },
            }
        ],
        "results": [_result(finding, location, inspection.sha256) for finding in findings_of(audit)],
        "properties": {
            "job": document.job.id,
            "datasets": [asdict(dataset) for dataset in document.provenance.datasets],
        },
    }
    log: Json = _finite({"$schema": SCHEMA_URI, "version": "2.1.0", "runs": [run]})
    return log


def _result(finding: Finding, location: Json, sha256: str) -> Json:
    # A dismissed finding must not silence the same one in other bytes: the fingerprint is of both.
    fingerprint = hashlib.sha256(json.dumps([finding.rule, sha256, *finding.identity]).encode()).hexdigest()
    passed = finding.level == "none"
    result: Json = {
        "ruleId": finding.rule,
        "ruleIndex": RULE_INDEX[finding.rule],
        "kind": "pass" if passed else "fail",
        "level": finding.level,
        "message": {"text": _literal(finding.text)},
        "locations": [
            {"physicalLocation": {"artifactLocation": {**location, "index": 0}, "region": REGION}},
        ],
        # The second is the only one that GitHub looks at, and has its form.
        "partialFingerprints": {
            "proctorFinding/v1": fingerprint,
            "primaryLocationLineHash": f"{fingerprint[:16]}:1",
        },
        "properties": finding.properties,
    }
    if finding.rule in CATEGORIZED and not passed:
        result["taxa"] = taxon_references(RULES[RULE_INDEX[finding.rule]])
    return result


def _notifications(document: ReportDocument, audit: AuditResult) -> Iterator[Json]:
    """Yield what a reader must know beside the findings: warnings first, then who was asked, and what not."""
    check = audit.teacher_check
    for warning in (*document.inspection.warnings, *(() if check is None else check.warnings)):
        yield _notification(INPUT_WARNING, warning, "warning")
    summaries = {probe.probe: probe for probe in audit.probes}
    for name in (*probes_that_ran(audit), *_asked_of_students(audit)):
        facts, result = facts_of(name), summaries.get(name)
        parts = [f"{title_of(name)}."]
        if facts is not None:
            parts.append(facts.question)
        if result is not None:
            parts.append(result.summary)
        blind_to = (result.blind_to if result else "") or (facts.blind_to if facts else "")
        parts.append(f"Cannot see: {blind_to or 'not recorded'}.")
        scores = None if result is None else _scores(result)
        yield {**_notification(name, " ".join(parts), "note"), "properties": scores}
    untested = (*audit.not_tested, *(audit.undistillable.not_tested if audit.undistillable else ()))
    for line in untested:
        yield _notification(NOT_TESTED, line, "note")


def _scores(probe: ProbeResult) -> Json:
    """Return a probe's figures, but not one for every class."""
    return {
        "targetLabel": probe.target_label,
        "statistic": probe.statistic,
        "conspicuous": probe.conspicuous,
        "pValue": probe.p_value,
        "calibrationReferences": probe.calibration_references,
    }


def _notification(name: str, text: str, level: Level) -> Json:
    return {**notification_reference(name), "level": level, "message": {"text": _literal(text)}}


def _asked_of_students(audit: AuditResult) -> list[str]:
    """Name the probes that gave an answer about learning from the teacher."""
    found = audit.undistillable
    if found is None:
        return []
    answers = {
        "multi_peak": found.peaks,
        "feature_consistency": found.consistency,
        "head_refit": found.refit,
        "student_gain": found.students,
        "temperature_slope": found.students,
    }
    return [name for name, answer in answers.items() if answer]


def _literal(text: str) -> str:
    """Write text so that no viewer takes part of it for a placeholder (3.11.5) or a link (3.11.6)."""
    return text.replace("{", "{{").replace("}", "}}").replace("](", "] (")


def _finite(value: Any) -> Any:
    """Leave out what is unknown or no number that JSON has."""
    if isinstance(value, Mapping):
        kept = {str(key): _finite(entry) for key, entry in value.items()}
        return {key: entry for key, entry in kept.items() if entry is not None}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
