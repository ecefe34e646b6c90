"""The report's figures as self-contained SVG.

Every figure is drawn on matplotlib's object interface (no pyplot, no global state), with text kept as text
and a fixed hash salt, so the same numbers give the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from markupsafe import escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from models.results.audit import Rate
from models.results.training import CurvePoint, StudentResult
from models.results.verification import NetworkMeasurement

INK, MUTED, GRID = "#1c2733", "#5b6b7c", "#e3e8ee"
#: Orange and blue, apart in lightness too: red beside green looked alike to one man in twelve, and in gray.
TEACHER, UNDEFENDED, DEFENDED = "#8a96a3", "#d55e00", "#004f7c"
ROLE_COLOR = {"teacher": TEACHER, "undefended": UNDEFENDED, "defended": DEFENDED}
ROLE_LINE = {"undefended": "--", "defended": "-"}
#: Longer names would leave no room for what is drawn.
LONGEST_NAME = 26
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


def to_svg(figure: Figure, alt: str) -> str:
    """Write a figure as an ``svg`` element that is read out as ``alt``."""
    with mpl.rc_context(STYLE):
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    element = text[text.index("<svg") :]
    return element.replace("<svg", f'<svg role="img" aria-label="{escape(alt)}"', 1)


def shortened(name: str) -> str:
    """Cut a name to what a figure has room for."""
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


def _bar(axes: Axes, y: float, rate: Rate, role: str) -> None:
    """Draw a rate with its interval; the role is written beside it, so that no color need be told apart."""
    axes.barh(y, rate.value * 100, height=0.62, color=ROLE_COLOR[role])
    axes.plot([rate.low * 100, rate.high * 100], [y, y], color=INK, linewidth=1.2, solid_capstyle="butt")
    text = f"{rate.value:.1%}  {role}"
    axes.text(max(rate.high * 100, rate.value * 100) + 1.5, y, text, va="center", fontsize=8.5)


def student_bars(networks: Sequence[NetworkMeasurement]) -> str:
    """Draw clean accuracy (or agreement) and every trigger's success: a group a measure, a bar a network."""
    groups = _measures(networks)
    rows = sum(len(bars) + 0.8 for _, bars in groups)
    with drawn(7.2, 0.5 + 0.27 * rows) as (figure, axes):
        y, ticks, labels = 0.0, [], []
        for label, bars in groups:
            ticks.append(y + (len(bars) - 1) / 2)
            labels.append(label)
            for role, rate in bars:
                _bar(axes, y, rate, role)
                y += 1
            y += 0.8
        axes.set_yticks(ticks, labels, parse_math=False)
        axes.tick_params(axis="y", length=0)
        axes.invert_yaxis()
        axes.set_xlim(0, 138)
        axes.set_xticks([0, 25, 50, 75, 100])
        axes.grid(axis="x", color=GRID)
        axes.set_xlabel("% of images; black line: 95 % interval")
        told = [
            f"{label.replace(chr(10), ' ')}: " + ", ".join(f"{role} {rate.value:.1%}" for role, rate in bars)
            for label, bars in groups
        ]
        return to_svg(figure, f"Bars, one for each network. {'; '.join(told)}.")


def _measures(networks: Sequence[NetworkMeasurement]) -> list[tuple[str, list[tuple[str, Rate]]]]:
    """Name what was measured, and give each network's rate."""
    groups: list[tuple[str, list[tuple[str, Rate]]]] = []
    accuracies = [(n.role, n.accuracy) for n in networks if n.accuracy is not None]
    if accuracies:
        groups.append(("clean accuracy", [(role, rate) for role, rate in accuracies]))
    else:
        groups.append(("agreement\nwith the teacher", [(n.role, n.agreement) for n in networks]))
    for index, attack in enumerate(networks[0].attacks):
        label = f"success of\n{shortened(attack.trigger)}\n→ class {attack.target_label}"
        groups.append((label, [(n.role, n.attacks[index].rate) for n in networks]))
    return groups


def training_curves(students: Sequence[StudentResult], value: str) -> str:
    """Draw one recorded number of every student over its steps."""
    with drawn(7.2, 2.1) as (figure, axes):
        for student in students:
            points = _points(student.curve, value)
            if points:
                steps, values = zip(*points, strict=True)
                axes.plot(
                    steps,
                    values,
                    color=ROLE_COLOR[student.role],
                    linestyle=ROLE_LINE[student.role],
                    linewidth=1.4,
                    label=student.role,
                )
        axes.grid(color=GRID)
        axes.set_xlabel("step")
        axes.set_ylabel(value.replace("_", " "))
        axes.legend(frameon=False, loc="best")
        ends = ((s.role, _points(s.curve, value)) for s in students)
        told = ", ".join(f"{role} {points[-1][1]:.3g}" for role, points in ends if points)
        return to_svg(figure, f"Curves of {value.replace('_', ' ')} over the steps, at the end: {told}.")


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
        told = f", at the end {points[-1][1]:.3g}" if points else ""
        return to_svg(figure, f"Curve of {value.replace('_', ' ')} over the steps{told}.")


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


def series_looks() -> Iterator[tuple[str, str]]:
    """Yield colors with markers that are told apart, also by the color-blind, without end."""
    while True:
        yield from zip(("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#6d597a"), "os^Dv", strict=True)
