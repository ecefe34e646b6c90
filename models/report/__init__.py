"""The report: one self-contained HTML file, the same as JSON, and an audit's findings as SARIF."""

from models.report.document import DatasetFacts, JobFacts, Picture, Provenance, ReportDocument
from models.report.html import render_html
from models.report.sarif import render_sarif

__all__ = [
    "DatasetFacts",
    "JobFacts",
    "Picture",
    "Provenance",
    "ReportDocument",
    "render_html",
    "render_sarif",
]
