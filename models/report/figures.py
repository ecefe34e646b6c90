"""The report's figures as self-contained SVG.

Every figure is drawn on matplotlib's object interface (no pyplot, no global state), with text kept as text
and a fixed hash salt, so the same numbers give the same bytes.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from models.results.audit import AuditResult, ProbeResult, Rate
from models.results.training import CurvePoint, StudentResult
from models.results.verification import NetworkMeasurement

INK, MUTED, GRID = "#1c2733", "#5b6b7c", "#e3e8ee"
TEACHER, UNDEFENDED, DEFENDED = "#8a96a3", "#d1495b", "#2a7f62"
ROLE_COLOR = {"teacher": TEACHER, "undefended": UNDEFENDED, "defended": DEFENDED}
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "proctor",
    "font.family": "sans-serif",
    "font.size": 9.0,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "xtick.color": MUTED,
    "ytick.color": INK,
    "text.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


#: What tells how a student learned, whatever else was recorded: of images that are made, it is much.
_OF_THE_STUDENT = ("loss", "agreement")


@contextmanager
def drawn(width: float, height: float) -> Iterator[tuple[Figure, Axes]]:
    """Give an empty figure of so many inches, in the report's style, and its axes."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.add_subplot()
        axes.set_axisbelow(True)
        yield figure, axes


def to_svg(figure: Figure) -> str:
    """Write a figure as an ``svg`` element."""
    with mpl.rc_context(STYLE):
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _bar(axes: Axes, y: float, rate: Rate, color: str) -> None:
    axes.barh(y, rate.value * 100, height=0.62, color=color)
    axes.plot([rate.low * 100, rate.high * 100], [y, y], color=INK, linewidth=1.2, solid_capstyle="butt")
    axes.text(max(rate.high * 100, rate.value * 100) + 1.5, y, f"{rate.value:.1%}", va="center", fontsize=8.5)


def student_bars(networks: Sequence[NetworkMeasurement]) -> str:
    """Draw clean accuracy (or agreement) and every trigger's success: a group a measure, a bar a network."""
    groups: list[tuple[str, list[tuple[str, Rate]]]] = []
    accuracies = [(n.role, n.accuracy) for n in networks if n.accuracy is not None]
    if accuracies:
        groups.append(("clean accuracy", [(role, rate) for role, rate in accuracies]))
    else:
        groups.append(("agreement", [(n.role, n.agreement) for n in networks]))
    for index, attack in enumerate(networks[0].attacks):
        label = f"success of {attack.trigger}\n→ class {attack.target_label}"
        groups.append((label, [(n.role, n.attacks[index].rate) for n in networks]))
    rows = sum(len(bars) + 0.8 for _, bars in groups)
    with drawn(7.2, 0.7 + 0.27 * rows) as (figure, axes):
        y, ticks, labels = 0.0, [], []
        for label, bars in groups:
            ticks.append(y + (len(bars) - 1) / 2)
            labels.append(label)
            for role, rate in bars:
                _bar(axes, y, rate, ROLE_COLOR[role])
                y += 1
            y += 0.8
        axes.set_yticks(ticks, labels)
        axes.tick_params(axis="y", length=0)
        axes.invert_yaxis()
        axes.set_xlim(0, 112)
        axes.set_xticks([0, 25, 50, 75, 100])
        axes.grid(axis="x", color=GRID)
        axes.set_xlabel("% of images; black line: 95 % interval")
        handles = [axes.barh([0], [0], color=ROLE_COLOR[n.role], label=n.role) for n in networks]
        axes.legend(handles=handles, loc="lower right", ncols=3, frameon=False, bbox_to_anchor=(1.0, 1.0))
        return to_svg(figure)


def class_bars(probe: ProbeResult) -> str:
    """Draw a probe's score of every class, the one it points at in red; over references if there are any."""
    if probe.class_profile:
        return profile_bars(probe)
    scores = probe.class_scores
    with drawn(7.2, 1.9) as (figure, axes):
        colors = [UNDEFENDED if c == probe.target_label else TEACHER for c in range(len(scores))]
        axes.bar(range(len(scores)), scores, color=colors, width=0.7)
        _class_axis(axes, len(scores), "class")
        axes.set_ylabel("score")
        return to_svg(figure)


def profile_bars(probe: ProbeResult) -> str:
    """Draw how far each class lies from the median class, over the band of clean reference networks."""
    factors = [math.exp(value) for value in probe.class_profile]
    with drawn(7.2, 2.2) as (figure, axes):
        for label, (low, high) in enumerate(probe.class_band):
            span = math.exp(high) - math.exp(low)
            axes.bar(
                label, span, bottom=math.exp(low), width=0.86, color=GRID, edgecolor=MUTED, linewidth=0.6
            )
        for label, factor in enumerate(factors):
            color = UNDEFENDED if label == probe.target_label else INK
            axes.plot([label], [factor], marker="D", markersize=5.5, color=color)
        axes.axhline(1.0, color=MUTED, linewidth=0.8, linestyle=":")
        axes.set_yscale("log", base=2)
        ends = [*factors, *(math.exp(end) for pair in probe.class_band for end in pair)]
        axes.set_ylim(min(ends) / 1.2, max(ends) * 1.2)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g} x")
        axes.yaxis.set_minor_formatter(NullFormatter())
        _class_axis(axes, len(factors), "class; gray: nine of ten clean reference networks")
        axes.set_ylabel("times as conspicuous\nas the median class")
        return to_svg(figure)


def _class_axis(axes: Axes, count: int, label: str) -> None:
    """Put a class at every tick, as long as there is room for their numbers."""
    if count <= 20:
        axes.set_xticks(range(count))
    axes.tick_params(axis="x", length=0)
    axes.grid(axis="y", color=GRID)
    axes.set_xlabel(label)


def training_curves(students: Sequence[StudentResult], value: str) -> str:
    """Draw one recorded number of every student over its steps."""
    with drawn(7.2, 2.1) as (figure, axes):
        for student in students:
            points = _points(student.curve, value)
            if points:
                steps, values = zip(*points, strict=True)
                axes.plot(steps, values, color=ROLE_COLOR[student.role], linewidth=1.4, label=student.role)
        axes.grid(color=GRID)
        axes.set_xlabel("step")
        axes.set_ylabel(value.replace("_", " "))
        axes.legend(frameon=False, loc="best")
        return to_svg(figure)


def _points(curve: Sequence[CurvePoint], value: str) -> list[tuple[int, float]]:
    """Pair steps with values; until a student agrees on anything, in a warm-up, the loss is a generator's."""
    learned = any("agreement" in point.values for point in curve)
    of_student = [p for p in curve if value != "loss" or not learned or "agreement" in p.values]
    return [(point.step, point.values[value]) for point in of_student if value in point.values]


def run_curve(curve: Sequence[CurvePoint], value: str) -> str:
    """Draw one recorded number of a single run over its steps."""
    with drawn(7.2, 1.9) as (figure, axes):
        points = [(point.step, point.values[value]) for point in curve]
        axes.plot([step for step, _ in points], [y for _, y in points], color=DEFENDED, linewidth=1.4)
        axes.grid(color=GRID)
        axes.set_xlabel("step")
        axes.set_ylabel(value.replace("_", " "))
        return to_svg(figure)


def recorded_values(students: Sequence[StudentResult]) -> list[str]:
    """Name what all students recorded at two steps or more, loss and agreement first.

    The rest comes in the order of the first student's record.
    """
    names: list[str] = []
    for student in students:
        for point in student.curve:
            names.extend(name for name in point.values if name not in names)
    names.sort(key=lambda name: name not in _OF_THE_STUDENT)
    return [n for n in names if all(sum(n in p.values for p in s.curve) > 1 for s in students)]


def audit_figures(audit: AuditResult) -> dict[str, str]:
    """Draw the class scores of every probe that has them, by probe name."""
    return {p.probe: class_bars(p) for p in audit.probes if p.class_scores}


def series_colors() -> Iterator[str]:
    """Yield colors that are told apart, without end."""
    while True:
        yield from ("#d1495b", "#30638e", "#edae49", "#2a7f62", "#6d597a")
