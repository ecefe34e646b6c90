"""Draw where each defense meets data-free distillation: docs/data-free.png.

python scripts/draw_data_free.py
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from draw_robustkd import EDIT, LOSS, STUDENT, TEACHER, arrow, box
from matplotlib.axes import Axes
from matplotlib.figure import Figure

FIGURE = Path(__file__).parents[1] / "docs" / "data-free.png"
UPPER, MIDDLE, LOWER = 3.3, 2.0, 0.7


def path_of_an_image(axes: Axes) -> None:
    """Draw source, images, both networks and what compares them."""
    box(axes, 0.2, MIDDLE, "generator,\ninverted noise,\nor photographs", LOSS, width=1.6)
    arrow(axes, (1.8, MIDDLE), (2.5, MIDDLE))
    box(axes, 2.5, MIDDLE, "images $x$", LOSS)
    arrow(axes, (3.75, MIDDLE + 0.2), (5.0, UPPER))
    arrow(axes, (3.75, MIDDLE - 0.2), (5.0, LOWER))
    box(axes, 5.0, UPPER, "teacher $T$\n(frozen)", TEACHER, width=1.4)
    box(axes, 5.0, LOWER, "student $S$", STUDENT, width=1.4)
    box(axes, 7.6, MIDDLE, "$KL(T\\,\\Vert\\,S)$", LOSS, width=1.5)
    arrow(axes, (6.4, UPPER), (7.6, MIDDLE + 0.2))
    arrow(axes, (6.4, LOWER), (7.6, MIDDLE - 0.2))


def defenses(axes: Axes) -> None:
    """Draw the three places where a defense acts."""
    box(axes, 1.2, UPPER + 1.15, "Shuffling Vaccine: avoid images on which\n"
        "a shuffled copy of $T$ still agrees with $T$", EDIT, width=3.9)  # fmt: skip
    arrow(axes, (2.6, UPPER + 0.8), (1.0, MIDDLE + 0.37))
    box(axes, 6.4, UPPER + 1.15, "Clipping: no channel of $T$ beyond\nits usual height", EDIT, width=3.0)
    arrow(axes, (7.0, UPPER + 0.8), (6.0, UPPER + 0.37))
    box(axes, 1.2, LOWER - 1.15, "Self-Retrospection: one shift $\\delta$ of all images\n"
        "that changes $T$'s answer must not change $S$'s", EDIT, width=3.9)  # fmt: skip
    arrow(axes, (5.1, LOWER - 0.95), (5.5, LOWER - 0.37))


def main() -> None:
    """Write the figure."""
    figure = Figure(figsize=(10.0, 5.2))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_xlim(0.0, 9.6)
    axes.set_ylim(-1.0, 5.0)
    axes.axis("off")
    path_of_an_image(axes)
    defenses(axes)
    figure.savefig(FIGURE, dpi=130, metadata={"Software": None})


if __name__ == "__main__":
    mpl.use("agg")
    main()
