"""Names of the files that a job publishes and that somebody asks for by name."""

from __future__ import annotations

import re
from collections.abc import Collection

REPORT_HTML = "report.html"
REPORT_JSON = "report.json"
REPORT_SARIF = "report.sarif"
STUDENT = "student.safetensors"
NASTY_TEACHER = "nasty_teacher.safetensors"
PROTECTION_JSON = "protection.json"
RECOVERED_TRIGGERS = "recovered_triggers.safetensors"


def student_file(role: str, roles: Collection[str]) -> str:
    """Name the file of the student in ``role``; the student to take has the plain name.

    That is the defended one where a job made several, and otherwise the only one.
    """
    return STUDENT if role == "defended" or len(roles) == 1 else f"student-{role}.safetensors"


def is_artifact(name: str) -> bool:
    """Tell whether a job, of whatever kind, may publish a file of this name."""
    fixed = {
        REPORT_HTML,
        REPORT_JSON,
        REPORT_SARIF,
        STUDENT,
        NASTY_TEACHER,
        PROTECTION_JSON,
        RECOVERED_TRIGGERS,
    }
    return name in fixed or re.fullmatch(r"student-[a-z]+\.safetensors|trigger-\d+\.png", name) is not None
