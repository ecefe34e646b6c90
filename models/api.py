"""The library's front door: audit a teacher, distill students, verify them, write the report.

Each function takes library values and a ``Monitor`` and returns results; none reads a file or an environment
variable. Reading uploads is ``models.checkpoints`` and ``models.data``.
"""

from __future__ import annotations

from models.distillation.students import StudentOrder, TrainedStudent, plan_students
from models.distillation.students import train_student as distill
from models.probes.audit import Audited
from models.probes.audit import run_audit as audit
from models.probes.teacher_check import check_teacher, settle
from models.report import ReportDocument
from models.report import render_html as render_report
from models.verification import MeasuringImages, measuring_images, verify

__all__ = [
    "Audited",
    "MeasuringImages",
    "ReportDocument",
    "StudentOrder",
    "TrainedStudent",
    "audit",
    "check_teacher",
    "distill",
    "measuring_images",
    "plan_students",
    "render_report",
    "settle",
    "verify",
]
