"""Names of the files that a job publishes and that somebody asks for by name."""

from __future__ import annotations

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
