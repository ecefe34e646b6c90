"""The papers' numbers, in percent, beside which ours are written (algorithms.md 1.7, 4.7)."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class PaperCell:
    """Accuracy and attack success in percent; None where the paper gives none."""

    accuracy: float
    attack_success: float | None


PaperTable = MappingProxyType[str, tuple[PaperCell, ...]]

#: ABD, table 1: CIFAR-10, WRN-16-2 to WRN-16-1, zero-shot transfer over 80,000 pseudo-batches.
#: Row: teacher, undefended student, student with ABD.
ABD_ZSKT: PaperTable = MappingProxyType(
    {
        "badnets_grid": (PaperCell(92.1, 99.9), PaperCell(71.9, 96.9), PaperCell(68.3, 0.7)),
        "trojan_wm": (PaperCell(93.8, 100.0), PaperCell(82.7, 93.9), PaperCell(78.2, 22.5)),
        "trojan_3x3": (PaperCell(93.4, 98.7), PaperCell(80.9, 96.8), PaperCell(71.7, 33.3)),
        "blend": (PaperCell(93.9, 99.7), PaperCell(77.0, 74.4), PaperCell(71.5, 23.1)),
        "trojan_8x8": (PaperCell(93.7, 99.6), PaperCell(80.5, 57.2), PaperCell(72.6, 17.8)),
        "badnets_square": (PaperCell(93.4, 97.8), PaperCell(80.8, 37.8), PaperCell(77.9, 1.9)),
        "clean_label_corners": (PaperCell(91.2, 94.3), PaperCell(76.8, 17.5), PaperCell(67.4, 10.2)),
        "sig": (PaperCell(90.5, 97.3), PaperCell(77.9, 0.0), PaperCell(72.2, 0.0)),
        "l2_inv": (PaperCell(93.9, 100.0), PaperCell(82.0, 0.3), PaperCell(70.7, 1.9)),
        "l0_inv": (PaperCell(92.4, 99.6), PaperCell(72.8, 8.3), PaperCell(69.4, 0.0)),
    }
)

#: ABD, table 2: the same networks, contrastive model inversion and out-of-distribution patches.
ABD_CMI: PaperTable = MappingProxyType(
    {
        "trojan_wm": (PaperCell(93.8, 100.0), PaperCell(89.1, 99.0), PaperCell(79.8, 8.0)),
        "badnets_square": (PaperCell(93.8, 100.0), PaperCell(88.3, 95.9), PaperCell(83.2, 6.0)),
    }
)
ABD_OOD: PaperTable = MappingProxyType(
    {
        "trojan_wm": (PaperCell(93.8, 100.0), PaperCell(82.3, 100.0), PaperCell(62.3, 21.8)),
        "badnets_grid": (PaperCell(92.1, 99.9), PaperCell(79.8, 99.6), PaperCell(78.2, 14.5)),
    }
)

#: RobustKD, table 6: CIFAR-100, WRN-28-4 to WRN-16-4. Row: teacher, feature distillation, RobustKD.
ROBUSTKD: PaperTable = MappingProxyType(
    {
        "cheat_kd": (PaperCell(78.82, 92.04), PaperCell(79.44, 96.13), PaperCell(78.36, 13.32)),
        "latent": (PaperCell(78.82, 92.04), PaperCell(80.17, 74.58), PaperCell(78.95, 1.61)),
    }
)


def paper_cell(table: PaperTable, row: str, place: int) -> PaperCell | None:
    """Return one of the paper's numbers; stand-ins have none: they are other triggers."""
    cells = table.get(row)
    return None if cells is None else cells[place]
