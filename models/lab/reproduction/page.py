"""A table as Markdown, the paper's numbers beside ours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import fmean, pstdev

from models.lab.reproduction.cell import Cell, Measured
from models.lab.reproduction.paper import paper_cell
from models.lab.reproduction.store import Store
from models.lab.reproduction.tables import Table
from models.results.rate import Rate

_EMPTY = "—"
#: From which attack success of the undefended student on a backdoor counts as moved.
_MOVED, _MOVED_BY_FEATURES = 0.8, 0.5


def render_table(table: Table, store: Store, command: str) -> str:
    """Write the cells that were measured; those that were not are dashes.

    Accuracy / attack success / clean target rate: how many of the same images go to the target class without
    the trigger. A weak student sends many there anyway, and only what is above it is the trigger's doing. Of
    several seeds: means, and the spread of the attack success, or of the accuracy where there is none.

    Args:
        table: Gives rows and columns in their order.
        store: What was measured.
        command: What makes the table again.
    """
    cells = [found for found in map(store.find, table.cells) if found is not None]
    rows = list(dict.fromkeys(cell.row for cell in table.cells))
    columns = list(dict.fromkeys(cell.column for cell in table.cells))
    header = ["teacher", "ACC / ASR", *(_column_title(column) for column in columns)]
    lines = [
        f"### {table.title}",
        "",
        *_facts(table, cells, command),
        "",
        _line(header),
        _line(["---"] * len(header)),
    ]
    lines += [
        _line([row, _teacher(cells, row), *(_cell(cells, row, column) for column in columns)]) for row in rows
    ]
    if table.paper is not None:
        lines += ["", *_paper(table, rows)]
    if table.note:
        lines += ["", table.note]
    controls = {cell.row for cell in table.cells if isinstance(cell, Cell) and cell.trigger_of is not None}
    compared = [cell for cell in cells if cell.row not in controls]
    return "\n".join([*lines, "", *_means(compared, columns)]).rstrip() + "\n"


def _machines(cells: Sequence[Measured]) -> list[tuple[str, int]]:
    """Return what made the students and how many each, most first: two number formats, two teachers."""
    return Counter(cell.machine for cell in cells).most_common()


def _facts(table: Table, cells: Sequence[Measured], command: str) -> list[str]:
    if not cells:
        return [f"`{command}`: nothing measured yet."]
    seconds = sum(cell.seconds for cell in cells)
    machines = "; ".join(f"{count} with {name}" for name, count in _machines(cells))
    n = cells[0].clean_accuracy.n
    attacked = {cell.attack_success.n for cell in cells if cell.attack_success is not None}
    spans = f"n = {n} for ACC" + (f", {_range(attacked)} for ASR" if attacked else "")
    facts = (
        f"`{command}`: {len(cells)} of {len(table.cells)} students, {seconds / 3600:.1f} h of training and "
        f"measuring ({machines}). {spans}; seeds {_seeds(cells)}. "
        f"The 95 % interval of a single rate is within ± {_share(max(map(_half_width, cells)))}."
    )
    if attacked:
        facts += (
            " ACC / ASR / CTR: CTR is the share of the images that ASR is measured on that go to the target "
            "class without the trigger; only what ASR has above it is the trigger's doing."
        )
    if any(cell.clean_teacher_success is not None for cell in cells):
        facts += (
            " In brackets: what a teacher's trigger does to the clean teacher that its attack began with."
        )
    return [facts]


def _half_width(cell: Measured) -> float:
    rates = [rate for rate in (cell.clean_accuracy, cell.attack_success) if rate is not None]
    return max(max(rate.high - rate.value, rate.value - rate.low) for rate in rates)


def _range(values: Iterable[int]) -> str:
    low, high = min(values := list(values)), max(values)
    return str(low) if low == high else f"{low} to {high}"


def _seeds(cells: Sequence[Measured]) -> str:
    return ", ".join(str(seed) for seed in sorted({cell.seed for cell in cells}))


def _teacher(cells: Sequence[Measured], row: str) -> str:
    """Write the teacher of a row, or the mean of them where every seed has its own."""
    found = {cell.seed: cell for cell in reversed(cells) if cell.row == row}.values()
    if not found:
        return _EMPTY
    text = f"{_mean(cell.teacher_accuracy for cell in found)} / "
    text += _mean(cell.teacher_attack_success for cell in found)
    before = _mean(cell.clean_teacher_success for cell in found)
    return text if before == _EMPTY else f"{text} (clean {before})"


def _mean(rates: Iterable[Rate | None]) -> str:
    values = [rate.value for rate in rates if rate is not None]
    return _share(fmean(values)) if values else _EMPTY


def _cell(cells: Sequence[Measured], row: str, column: str) -> str:
    found = [cell for cell in cells if (cell.row, cell.column) == (row, column)]
    if not found:
        return _EMPTY
    name, values = "ASR", [cell.attack_success.value for cell in found if cell.attack_success is not None]
    if not values:
        name, values = "ACC", [cell.clean_accuracy.value for cell in found]
    if len(values) < 2:
        return _rates(found)
    return f"{_rates(found)} ({name} ± {_share(pstdev(values))}, {len(found)})"


def _rates(cells: Sequence[Measured]) -> str:
    """Write the means of some students, without the attack's where there is none."""
    shares = [[cell.clean_accuracy for cell in cells]]
    shares += [[rate for cell in cells if (rate := cell.attack_success) is not None]]
    shares += [[rate for cell in cells if (rate := cell.clean_target_rate) is not None]]
    return " / ".join(_share(fmean(rate.value for rate in rates)) for rates in shares if rates)


def _paper(table: Table, rows: Sequence[str]) -> list[str]:
    """Write the paper's rows, in percent as printed there."""
    assert table.paper is not None, "the caller looked"  # noqa: S101
    header = ["the paper (%)", "teacher", "undefended", "defended"]
    lines = [_line(header), _line(["---"] * len(header))]
    for row in rows:
        found = [paper_cell(table.paper, row, place) for place in range(3)]
        if any(cell is not None for cell in found):
            lines.append(
                _line([row, *(f"{c.accuracy:g} / {c.attack_success:g}" if c else _EMPTY for c in found)])
            )
    return lines if len(lines) > 2 else []


def _means(cells: Sequence[Measured], columns: Sequence[str]) -> list[str]:
    """Compare the defenses of a method where its undefended student took the backdoor over."""
    lines = []
    for method in dict.fromkeys(map(_undefended, columns)):
        least = _MOVED_BY_FEATURES if method == "feature" else _MOVED
        moved = {
            (cell.row, cell.seed)
            for cell in cells
            if cell.column == f"{method}/none"
            and cell.attack_success is not None
            and cell.attack_success.value >= least
        }
        if not moved:
            continue
        parts = []
        for column in (column for column in columns if _undefended(column) == method):
            found = [cell for cell in cells if cell.column == column and (cell.row, cell.seed) in moved]
            rates = [cell.attack_success.value for cell in found if cell.attack_success is not None]
            if rates:
                told = f"{_column_title(column)} {_rates(found)} (highest ASR {_share(max(rates))}"
                parts.append(f"{told}{_twins_of(found, moved, cells, method)})")
        lines.append(
            f"- `{method}`, the {len(moved)} students whose undefended twin has an ASR of "
            f"{_least(least)} or more, mean ACC / ASR / CTR: {'; '.join(parts)}."
        )
    return lines


def _twins_of(
    found: Sequence[Measured], moved: set[tuple[str, int]], cells: Sequence[Measured], method: str
) -> str:
    """Where a column has but some of the students, say how many, and what the undefended of these had."""
    if len(found) == len(moved):
        return ""
    places = {(cell.row, cell.seed) for cell in found}
    twins = [c for c in cells if c.column == f"{method}/none" and (c.row, c.seed) in places]
    return f"; only {len(found)} of these, whose undefended twins have {_rates(twins)}"


def _undefended(column: str) -> str:
    """Return the method of a column's undefended twin; RobustKD's learns the features as they are."""
    method = column.partition("/")[0]
    return "feature" if method == "robustkd" else method


def _least(value: float) -> str:
    return f"{value:g}".removeprefix("0")


def _column_title(column: str) -> str:
    method, _, defense = column.partition("/")
    if defense in {"", "none", method}:
        return method
    return f"{method} + {defense.replace('_', ' + ')}"


def _share(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")


def _line(parts: Iterable[str]) -> str:
    return f"| {' | '.join(parts)} |"


def put_section(page: str, name: str, section: str) -> str:
    """Put a rendered table into a page, in place of the one that stands between its marks, or at the end."""
    begin, end = f"<!-- reproduce {name} -->", f"<!-- end {name} -->"
    block = f"{begin}\n{section}{end}"
    if begin in page and end in page:
        before, _, rest = page.partition(begin)
        return before + block + rest.partition(end)[2]
    return f"{page.rstrip()}\n\n{block}\n"
