"""The figures of an audit's probes: what each says of every class."""

from __future__ import annotations

import math
from statistics import median

from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter

from models.report.figures import GRID, INK, MUTED, TEACHER, UNDEFENDED, drawn, to_svg
from models.results.audit import AuditResult, ProbeResult

#: What a probe's score of a class counts, and which way it stands out.
SCORE_AXES = {
    "mmbd": "largest margin\n(in logits)",
    "trigger_inversion": "pixels of patch needed\n(few stand out)",
    "universal_perturbation": "norm of overlay needed\n(little stands out)",
    "head_statistics": "robust deviations\nfrom other classes",
    "local_dominance": "share of noisy\nimages named so",
    "shuffle_sensitivity": "share of images kept\nbeyond chance",
    "feature_variance": "variance, in times\na middle class's",
}
PROFILE_AXIS = "times as conspicuous\nas the median class"
#: More classes than these have no room for a number each.
NUMBERED_CLASSES = 20


def audit_figures(audit: AuditResult) -> dict[str, str]:
    """Draw the class scores of every probe that has them, by probe name."""
    return {p.probe: class_bars(p) for p in audit.probes if p.class_scores}


def class_bars(probe: ProbeResult) -> str:
    """Draw a probe's score of every class, the one it points at marked; over references if there are any."""
    if probe.class_profile:
        return profile_bars(probe)
    scores, target = probe.class_scores, probe.target_label
    axis = SCORE_AXES.get(probe.probe, "score")
    with drawn(7.2, 1.9) as (figure, axes):
        colors = [UNDEFENDED if c == target else TEACHER for c in range(len(scores))]
        axes.bar(range(len(scores)), scores, color=colors, width=0.7)
        axes.margins(y=0.18)
        if target is not None:
            _mark(axes, target, max(scores[target], 0.0))
        _class_axis(axes, len(scores), "class")
        axes.set_ylabel(axis)
        return to_svg(figure, f"Bars, one for each class. {_told(axis, scores, target)}")


def profile_bars(probe: ProbeResult) -> str:
    """Draw how far each class lies from the median class, over the band of clean reference networks."""
    factors, target = [math.exp(value) for value in probe.class_profile], probe.target_label
    with drawn(7.2, 2.3) as (figure, axes):
        for label, (low, high) in enumerate(probe.class_band):
            span = math.exp(high) - math.exp(low)
            axes.bar(
                label, span, bottom=math.exp(low), width=0.86, color=GRID, edgecolor=MUTED, linewidth=0.6
            )
        for label, factor in enumerate(factors):
            color, shape, size = (UNDEFENDED, "*", 9.0) if label == target else (INK, "D", 5.0)
            size *= 1.0 if len(factors) <= NUMBERED_CLASSES else 0.6
            axes.plot([label], [factor], marker=shape, markersize=size, color=color)
        axes.axhline(1.0, color=MUTED, linewidth=0.8, linestyle=":")
        axes.set_yscale("log", base=2)
        ends = [*factors, *(math.exp(end) for pair in probe.class_band for end in pair)]
        room = (max(ends) / min(ends)) ** 0.1
        axes.set_ylim(min(ends) / room, max(ends) * room**2)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.3g} \u00d7")
        axes.yaxis.set_minor_formatter(NullFormatter())
        if target is not None and target < len(factors):
            _mark(axes, target, factors[target])
        _class_axis(axes, len(factors), "class; gray: nine of ten clean reference networks")
        axes.set_ylabel(PROFILE_AXIS)
        return to_svg(
            figure,
            f"Points, one for each class, over what nine of ten clean reference networks show. "
            f"{_told(PROFILE_AXIS, factors, target)}",
        )


def _mark(axes: Axes, label: int, height: float) -> None:
    """Write a class's number above its score: color alone tells not everybody, and 100 have no numbers."""
    axes.annotate(
        f"class {label}",
        (label, height),
        xytext=(0, 4),
        textcoords="offset points",
        ha="center",
        va="bottom",
        fontsize=8.5,
        fontweight="bold",
    )


def _told(axis: str, scores: list[float] | tuple[float, ...], target: int | None) -> str:
    """Say in words what the figure shows."""
    axis = axis.replace("\n", " ")
    if target is None or target >= len(scores):
        return f"{axis.capitalize()}: {min(scores):.3g} to {max(scores):.3g}."
    others = [score for label, score in enumerate(scores) if label != target] or [scores[target]]
    return (
        f"{axis.capitalize()}: class {target} has {scores[target]:.3g}; the others lie between "
        f"{min(others):.3g} and {max(others):.3g}, half of them below {median(others):.3g}."
    )


def _class_axis(axes: Axes, count: int, label: str) -> None:
    """Put a class at every tick, as long as there is room for their numbers."""
    if count <= NUMBERED_CLASSES:
        axes.set_xticks(range(count))
    axes.set_xlim(-0.7, count - 0.3)
    axes.tick_params(axis="x", length=0)
    axes.grid(axis="y", color=GRID)
    axes.set_xlabel(label)
