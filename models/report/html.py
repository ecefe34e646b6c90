"""One self-contained HTML file: no script, no outside reference, images inside, everything escaped."""

from __future__ import annotations

import base64
import json
import math
import re
from functools import partial
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from models.recipes.probe_catalog import CHANNEL_IMAGES, REPORTED_ONLY
from models.report.document import Picture, ReportDocument
from models.report.figures import recorded_values, run_curve, student_bars, training_curves
from models.report.probe_figures import audit_figures
from models.report.sarif_rules import facts_of
from models.report.transfer_figures import asked_channels, hazard_word, transfer_curves, transfer_matrix
from models.results.audit import AuditResult, Rate
from models.results.protection import PairedDifference

MAX_CURVES = 3
NASTY_CURVES = ("label_loss", "divergence")
_BACKTICKS = re.compile("`([^`]+)`")

#: A job of kind clean made a page that was headed *clean report*, above a network with a backdoor.
KIND_WORDS = {
    "audit": "audit of a network",
    "clean": "audit of a network, and a student distilled from it",
    "distill": "a student distilled from a network",
    "protect": "a network protected against distillation",
}
VERDICT_WORDS = {
    "detected": "Backdoor detected",
    "suspected": "Backdoor suspected",
    "not_detected": "No backdoor detected",
    "inconclusive": "Inconclusive about a backdoor",
}
UNDISTILLABLE_WORDS = {
    "detected": "Bad to learn from",
    "not_detected": "Not found to be bad to learn from",
    "inconclusive": "Inconclusive",
}
HAZARD_WORDS = {
    "high": "A throw-away student distilled without a defense learned a trigger.",
    "low": "The triggers of hazard low stayed below half of the images in an undefended throw-away student. "
    "Longer training may move more.",
    "not_tested": "Whether a trigger moves into a student was not tested.",
}


def render_html(document: ReportDocument) -> str:
    """Render the report.

    Args:
        document: Everything the report shows.

    Returns:
        A complete HTML document as text; it references nothing outside itself.
    """
    environment = Environment(
        loader=PackageLoader("models.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        percent=_percent,
        interval=_interval,
        size=_size,
        count=_count,
        millions=_millions,
        moment=_moment,
        points=_points,
        factor=_factor,
        code=_code,
        pretty=partial(json.dumps, indent=2, sort_keys=True),
    )
    template = environment.get_template("template.html")
    return template.render(
        d=document,
        kind_words=KIND_WORDS,
        verdict_words=VERDICT_WORDS,
        hazard_sentence=hazard_sentence,
        hazard_word=hazard_word,
        facts_of=facts_of,
        reported_only=REPORTED_ONLY,
        channel_images=CHANNEL_IMAGES,
        undistillable_words=UNDISTILLABLE_WORDS,
        figures=_figures(document),
        pictures=_pictures(document.pictures),
    )


def hazard_sentence(audit: AuditResult) -> str:
    """Say whether a trigger moves into a student; where that is not known, whether it was tried."""
    if audit.hazard != "not_tested" or not audit.transfers:
        return HAZARD_WORDS[audit.hazard]
    if any(moved.begun for moved in audit.transfers):
        return (
            "A trigger began to move into a throw-away student distilled without a defense, on fewer images "
            "than are called a hazard. Longer training may move more: raise probe.transfer_images."
        )
    if any(moved.learned_too_little for moved in audit.transfers):
        return (
            "Whether a trigger moves into a student could not be told: the student learned too little of its "
            "teacher. Raise probe.transfer_images."
        )
    return (
        "Whether a trigger moves into a student could not be told: the numbers below do not part one that "
        "moved from one that did not."
    )


def _figures(document: ReportDocument) -> dict[str, Any]:
    figures: dict[str, Any] = {
        "classes": {},
        "matrix": None,
        "transfer": {},
        "students": None,
        "training": {},
        "nasty": {},
    }
    if document.audit is not None:
        figures["classes"] = {name: Markup(svg) for name, svg in audit_figures(document.audit).items()}  # noqa: S704
        figures |= _transfer_figures(document.audit)
    if document.verification is not None:
        figures["students"] = Markup(student_bars(document.verification.networks))  # noqa: S704
    if document.distillation is not None:
        students = document.distillation.students
        figures["training"] = {
            name: Markup(training_curves(students, name))  # noqa: S704
            for name in recorded_values(students)[:MAX_CURVES]
        }
    if document.protection_training is not None:
        curve = document.protection_training.curve
        figures["nasty"] = {name: Markup(run_curve(curve, name)) for name in NASTY_CURVES}  # noqa: S704
    return figures


def _transfer_figures(audit: AuditResult) -> dict[str, Any]:
    """Draw the matrix, if it is more than a single number, and the curves of every channel that has them."""
    channels, cells = asked_channels(audit), audit.transfers
    matrix = None
    if cells and (len(channels) > 1 or len(cells) > 1):
        matrix = Markup(transfer_matrix(cells, channels))  # noqa: S704
    by_channel = {name: [cell for cell in cells if cell.channel == name] for name in channels}
    curves = {
        CHANNEL_IMAGES[name]: Markup(transfer_curves(found))  # noqa: S704
        for name, found in by_channel.items()
        if any(cell.curve for cell in found)
    }
    return {"matrix": matrix, "transfer": curves}


def _pictures(pictures: tuple[Picture, ...]) -> dict[str, list[dict[str, str]]]:
    groups: dict[str, list[dict[str, str]]] = {}
    for picture in pictures:
        uri = "data:image/png;base64," + base64.b64encode(picture.png).decode("ascii")
        groups.setdefault(picture.group, []).append({"caption": picture.caption, "uri": uri})
    return groups


def _percent(share: float | None) -> str:
    return "—" if share is None else f"{share:.1%}"


def _points(difference: PairedDifference) -> str:
    value, low, high = (
        f"{100 * share:+.1f}" for share in (difference.value, difference.low, difference.high)
    )
    return f"{value} points ({low} to {high}, p\u00a0=\u00a0{difference.p_value:.1g})"


def _interval(rate: Rate | None) -> str:
    if rate is None:
        return "not measured"
    return f"{rate.value:.1%} ({rate.low:.1%} to {rate.high:.1%}, n\u00a0=\u00a0{rate.n:,})"


def _factor(statistic: float) -> str:
    """Turn the log of a ratio into the ratio."""
    return f"{math.exp(min(statistic, 20)):.2f}"


def _code(text: str) -> Markup:
    """Set what stands between backticks as code; the text is escaped first."""
    return Markup(_BACKTICKS.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704


def _size(size_bytes: int) -> str:
    if size_bytes < 1_000_000:
        return f"{size_bytes / 1_000:.0f} kB"
    return f"{size_bytes / 1_000_000:.1f} MB"


def _count(number: int) -> str:
    return f"{number:,}"


def _millions(number: int | None) -> str:
    return "—" if number is None else f"{number / 1e6:,.1f} M"


def _moment(timestamp: str) -> str:
    """Write a timestamp of the service, which is in UTC, to the minute."""
    return timestamp[:16].replace("T", " ") + " UTC"
