"""The transfer probe's figures: the matrix of channels by triggers, and a student's curves."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import Rectangle

from models.report.figures import GRID, INK, MUTED, drawn, series_looks, shortened, to_svg
from models.results.audit import AuditResult, Rate, TransferResult

#: From white to a dark red whose lightness falls evenly, so that it reads in gray, too.
HEAT = LinearSegmentedColormap.from_list("heat", ["#ffffff", "#f6c9b8", "#d1495b", "#5c1328"])
#: Shares from here on are so dark that letters on them are white.
DARK = 0.55
#: Of a cell's width: the rest shows the control.
STUDENT_SHARE = 0.68


def hazard_word(transfer: TransferResult) -> str:
    """Name a cell's hazard: what was measured and told nothing is no longer called untested."""
    return "no answer" if transfer.hazard == "not_tested" else transfer.hazard


def asked_channels(audit: AuditResult) -> tuple[str, ...]:
    """Name the channels in their order, also those that no student came out of."""
    told = [entry.channel for entry in audit.channels] or [entry.channel for entry in audit.transfers]
    return tuple(dict.fromkeys(told))


def transfer_matrix(transfers: Sequence[TransferResult], channels: Sequence[str]) -> str:
    """Draw each trigger's success on the student of each channel, with its interval, beside its control's.

    Args:
        transfers: At least one; for every channel that was measured all triggers, in one order.
        channels: Columns; those without results are drawn as not tested.
    """
    columns = [[cell for cell in transfers if cell.channel == channel] for channel in channels]
    # Every channel that was measured has all triggers, in one order.
    rows = max(columns, key=len)
    with drawn(7.2, 0.75 + 0.62 * len(rows)) as (figure, axes):
        for y, row in enumerate(rows):
            name = f"{shortened(row.trigger)}\n→ class {row.target_label}"
            _write(axes, -0.06, y + 0.5, name, INK, align="right")
            for x, column in enumerate(columns):
                _cell(axes, x, y, column[y] if column else None)
        for x, channel in enumerate(channels):
            _write(axes, x + STUDENT_SHARE / 2, -0.12, channel, INK, bold=True, base="bottom")
            _write(axes, x + (1 + STUDENT_SHARE) / 2 - 0.02, -0.12, "control", MUTED, size=6.5, base="bottom")
        axes.set_xlim(0, len(channels))
        axes.set_ylim(len(rows), -0.35)
        axes.set_axis_off()
        told = "; ".join(
            f"{cell.trigger} over {cell.channel} {cell.student_success.value:.1%}, control "
            f"{cell.control_success.value:.1%}, hazard {hazard_word(cell)}"
            for cell in transfers
        )
        return to_svg(figure, f"Table of triggers by channels: {told}.")


def _cell(axes: Axes, x: int, y: int, transfer: TransferResult | None) -> None:
    if transfer is None:
        _box(axes, x, y, 0.96, None, hatched=True)
        _write(axes, x + 0.48, y + 0.5, "not tested", MUTED)
        return
    untested = transfer.hazard == "not_tested"
    student, control = transfer.student_success, transfer.control_success
    _box(axes, x, y, STUDENT_SHARE, None if untested else student.value, hatched=untested)
    _box(axes, x + STUDENT_SHARE, y, 0.96 - STUDENT_SHARE, None if untested else control.value)
    middle = x + STUDENT_SHARE / 2
    color = MUTED if untested else _ink(student)
    _write(axes, middle, y + 0.28, f"{student.value:.1%}", color, bold=True)
    _write(axes, middle, y + 0.52, f"{100 * student.low:.1f} to {100 * student.high:.1f}", color, size=6.5)
    _write(axes, middle, y + 0.75, hazard_word(transfer), color, size=6.5)
    beside = x + (0.96 + STUDENT_SHARE) / 2
    _write(axes, beside, y + 0.5, f"{control.value:.1%}", MUTED if untested else _ink(control), size=6.5)


def _box(axes: Axes, x: float, y: float, width: float, share: float | None, *, hatched: bool = False) -> None:
    axes.add_patch(
        Rectangle(
            (x, y + 0.04),
            width,
            0.92,
            facecolor="#ffffff" if share is None else HEAT(share),
            edgecolor=MUTED,
            linewidth=0.6,
        )
    )
    if hatched:
        axes.add_patch(
            Rectangle((x, y + 0.04), width, 0.92, fill=False, edgecolor=GRID, hatch="////", linewidth=0)
        )


def _ink(rate: Rate) -> str:
    return "#ffffff" if rate.value >= DARK else INK


def _write(
    axes: Axes,
    x: float,
    y: float,
    text: str,
    color: str,
    *,
    size: float = 8.5,
    bold: bool = False,
    align: str = "center",
    base: str = "center",
) -> None:
    """Write a user's words as they are: no dollar sign begins a formula."""
    weight = "bold" if bold else "normal"
    axes.text(x, y, text, color=color, fontsize=size, ha=align, va=base, fontweight=weight, parse_math=False)


def transfer_curves(transfers: Sequence[TransferResult]) -> str:
    """Draw how one channel's throw-away student picks each trigger up, against the images it has seen."""
    shown = [transfer for transfer in transfers if transfer.curve]
    with drawn(7.2, 2.2 + 0.1 * len(shown)) as (figure, axes):
        for transfer, (color, marker) in zip(shown, series_looks(), strict=False):
            seen, success = zip(*transfer.curve, strict=True)
            axes.plot(
                seen,
                [s * 100 for s in success],
                color=color,
                marker=marker,
                markersize=3.5,
                label=f"{shortened(transfer.trigger)} → class {transfer.target_label}",
            )
            axes.axhline(transfer.control_success.value * 100, color=color, linewidth=0.9, linestyle=":")
        axes.set_ylim(-3, 103)
        axes.grid(color=GRID)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.set_xlabel("images the student has seen")
        axes.set_ylabel("% of images sent to\nthe trigger's class")
        # Above the curves: over them it hid what it names.
        legend = axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=2)
        for text in legend.get_texts():
            text.set_parse_math(False)
        told = "; ".join(f"{t.trigger} {t.curve[-1][1]:.1%}" for t in shown)
        return to_svg(figure, f"Curves, one for each trigger, over the images seen; at the end: {told}.")
