"""The library's front door: audit a teacher, distill students, verify them, protect a network, report.

Each function takes library values and a ``Monitor`` and returns results; none reads a file or an environment
variable. Reading uploads is ``models.checkpoints`` and ``models.data``.
"""

from __future__ import annotations

from models.distillation.nasty.protection import Protected, measure_protection, protect
from models.distillation.students import StudentOrder, TrainedStudent, plan_students
from models.distillation.students import train_student as distill
from models.probes.audit import Audited
from models.probes.audit import run_audit as audit
from models.probes.doubts import doubts_of
from models.probes.student_rescan import rescan_students
from models.probes.teacher_check import check_teacher, settle
from models.report import ReportDocument, render_sarif
from models.report import render_html as render_report
from models.verification import MeasuringImages, measuring_images, verify

__all__ = [
    "Audited",
    "MeasuringImages",
    "Protected",
    "ReportDocument",
    "StudentOrder",
    "TrainedStudent",
    "audit",
    "check_teacher",
    "distill",
    "doubts_of",
    "measure_protection",
    "measuring_images",
    "plan_students",
    "protect",
    "render_report",
    "render_sarif",
    "rescan_students",
    "settle",
    "verify",
]
