"""The report: one self-contained HTML file and the same as JSON."""

from models.report.document import DatasetFacts, JobFacts, Picture, Provenance, ReportDocument
from models.report.html import render_html

__all__ = ["DatasetFacts", "JobFacts", "Picture", "Provenance", "ReportDocument", "render_html"]
