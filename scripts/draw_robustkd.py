"""Draw how RobustKD distills detoxified features: docs/robustkd.png.

python scripts/draw_robustkd.py
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

TEACHER, STUDENT, EDIT, LOSS = "#dbe4f0", "#e3efdc", "#f6d9c4", "#f3f3f3"
TOP, BOTTOM = 3.6, 0.7
STAGES = (2.3, 5.3, 8.3)
HEAD = 11.3
EDIT_WIDTH, STAGE_WIDTH, HEIGHT = 0.95, 1.25, 0.7
FIGURE = Path(__file__).parents[1] / "docs" / "robustkd.png"


def box(axes: Axes, x: float, y: float, text: str, color: str, *, width: float = STAGE_WIDTH) -> None:
    """Draw a box whose left side is at ``x`` and whose middle is at ``y``."""
    axes.add_patch(
        FancyBboxPatch(
            (x, y - HEIGHT / 2),
            width,
            HEIGHT,
            boxstyle="round,pad=0.02",
            facecolor=color,
            edgecolor="#555555",
        )
    )
    axes.text(x + width / 2, y, text, ha="center", va="center", fontsize=9)


def arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Draw an arrow."""
    axes.annotate("", xy=end, xytext=start, arrowprops={"arrowstyle": "->", "color": "#444444", "lw": 1.1})


def networks(axes: Axes) -> None:
    """Draw both rows: image, stages, head."""
    for y, name, color in ((TOP, "teacher", TEACHER), (BOTTOM, "student", STUDENT)):
        box(axes, 0.2, y, "clean\nimages", LOSS, width=1.2)
        start = 1.4
        for index, x in enumerate(STAGES):
            arrow(axes, (start, y), (x, y))
            box(axes, x, y, f"{name}\nstage {index + 1}", color)
            start = x + STAGE_WIDTH
            if name == "teacher":
                arrow(axes, (start, y), (start + 0.25, y))
                box(axes, start + 0.25, y, "edit\n$m,\\ f$", EDIT, width=EDIT_WIDTH)
                start += 0.25 + EDIT_WIDTH
        arrow(axes, (start, y), (HEAD, y))
        box(axes, HEAD, y, f"{name}\nhead", color)
        arrow(axes, (HEAD + STAGE_WIDTH, y), (HEAD + STAGE_WIDTH + 0.4, y))


def distances(axes: Axes) -> None:
    """Draw what joins the rows, one weight per stage."""
    middle = (TOP + BOTTOM) / 2
    for x, weight in zip(STAGES, ("¼", "½", "1"), strict=True):
        edited, learned = x + STAGE_WIDTH + 0.25 + EDIT_WIDTH / 2, x + STAGE_WIDTH / 2
        box(axes, x - 0.05, middle, f"{weight} $\\times$ partial $L_2$", LOSS, width=2.35)
        arrow(axes, (edited, TOP - HEIGHT / 2), (edited, middle + HEIGHT / 2))
        axes.text(
            edited - 0.08, TOP - 0.72, "next BN,\nmax(·, margin)", ha="right", va="center", fontsize=7.5
        )
        arrow(axes, (learned, BOTTOM + HEIGHT / 2), (learned, middle - HEIGHT / 2))
        axes.text(
            learned + 0.08,
            BOTTOM + 0.72,
            "next BN, $1{\\times}1$ conv, BN",
            ha="left",
            va="center",
            fontsize=7.5,
        )


def losses(axes: Axes) -> None:
    """Write what is minimized in either step."""
    x = HEAD + STAGE_WIDTH + 0.45
    axes.text(
        x,
        TOP,
        "1. train the edits:\n  cross-entropy\n  + variance of the\n  last edited feature",
        va="center",
        fontsize=9,
    )
    axes.text(
        x,
        BOTTOM,
        "2. train the student:\n  cross-entropy\n  + the distances / 1,000",
        va="center",
        fontsize=9,
    )
    axes.text(
        0.2,
        TOP + 0.85,
        "Teacher frozen.  Edit of a feature $F$:  $(1-m)\\,F + m f$  (blend)   or   "
        "$F + m f$  (add),   $0 \\leq m \\leq \\xi$",
        fontsize=9.5,
    )


def draw(path: Path) -> None:
    """Write the figure."""
    figure = Figure(figsize=(11.6, 3.9), dpi=130, layout="constrained")
    axes = figure.add_subplot()
    networks(axes)
    distances(axes)
    losses(axes)
    axes.set_xlim(0, 15.6)
    axes.set_ylim(0.1, 4.8)
    axes.axis("off")
    figure.savefig(path, metadata={"Software": None})


if __name__ == "__main__":
    mpl.use("agg")
    draw(FIGURE)
