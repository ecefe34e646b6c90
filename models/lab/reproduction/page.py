"""A table as Markdown, the paper's numbers beside ours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import fmean

from models.lab.reproduction.cell import Cell, Measured
from models.lab.reproduction.paper import paper_cell
from models.lab.reproduction.protection import ProtectionCell
from models.lab.reproduction.store import Store
from models.lab.reproduction.tables import Table
from models.metrics.intervals import moved_share
from models.recipes.lab import TeacherRecipe
from models.results.rate import Rate

_EMPTY = "—"
#: From which ``_moved_share`` of the undefended student on a backdoor counts as moved.
_MOVED, _MOVED_BY_FEATURES = 0.8, 0.5
_ADAPTIVE = frozenset({"under_clipping", "margin_evasion"})


def render_table(table: Table, store: Store, command: str) -> str:
    """Write the cells that were measured; those that were not are dashes.

    Accuracy / attack success / clean target rate: how many of the same images go to the target class without
    the trigger. A weak student sends many there anyway, and only what is above it is the trigger's doing. Of
    several seeds: means, and lowest and highest attack success, or accuracy where there is none. Below stand
    means over teachers; neither controls nor teachers whose attack knows a defense are among them.

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
    apart = {cell.row for cell in table.cells if isinstance(cell, Cell) and _stands_apart(cell)}
    compared = [cell for cell in cells if cell.row not in apart]
    return "\n".join([*lines, "", *_means(compared, columns)]).rstrip() + "\n"


def _stands_apart(cell: Cell) -> bool:
    """Whether a row is a control, or its attack knows a defense: no mean may mix it with others."""
    if cell.trigger_of is not None:
        return True
    return isinstance(cell.teacher, TeacherRecipe) and cell.teacher.attack.kind in _ADAPTIVE


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
        f"measuring ({machines}). {spans}. {_of_seeds(table, cells)} "
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
    student = (cell.clean_accuracy, cell.attack_success, cell.clean_target_rate)
    teacher = (cell.teacher_accuracy, cell.teacher_attack_success, cell.clean_teacher_success)
    rates = (rate for rate in (*student, *teacher) if rate is not None)
    return max(max(rate.high - rate.value, rate.value - rate.low) for rate in rates)


def _range(values: Iterable[int]) -> str:
    low, high = min(values := list(values)), max(values)
    return str(low) if low == high else f"{low} to {high}"


def _of_seeds(table: Table, cells: Sequence[Measured]) -> str:
    """Say what the seeds are of, and whether the students of a row have one teacher."""
    numbers = sorted({cell.seed for cell in cells})
    seeds = f"Seed{'' if len(numbers) == 1 else 's'} {', '.join(map(str, numbers))}"
    if any(isinstance(cell, ProtectionCell) for cell in table.cells):
        return f"{seeds}: twin and students are made anew for each, of one network."
    verb = "is" if len(numbers) == 1 else "are"
    text = f"{seeds} {verb} the students'; the teachers' is one, so no spread tells of other teachers."
    if any(len(_teachers_of(cells, cell.row)) > 1 for cell in cells):
        text += (
            " A teacher with two numbers was made twice, on another machine or by later code: its students "
            "are not all of the same network."
        )
    return text


def _teachers_of(cells: Sequence[Measured], row: str) -> set[tuple[float, float | None]]:
    """Return the different teachers of a row, told apart by their rates."""
    return {
        (cell.teacher_accuracy.value, _value(cell.teacher_attack_success))
        for cell in cells
        if cell.row == row
    }


def _teacher(cells: Sequence[Measured], row: str) -> str:
    """Write the teacher of a row; from lowest to highest where it is not one network for all students."""
    found = [cell for cell in cells if cell.row == row]
    if not found:
        return _EMPTY
    text = f"{_span(cell.teacher_accuracy for cell in found)} / "
    text += _span(cell.teacher_attack_success for cell in found)
    before = _span(cell.clean_teacher_success for cell in found)
    return text if before == _EMPTY else f"{text} (clean {before})"


def _value(rate: Rate | None) -> float | None:
    return None if rate is None else rate.value


def _span(rates: Iterable[Rate | None]) -> str:
    values = [rate.value for rate in rates if rate is not None]
    return _from_to(values) if values else _EMPTY


def _from_to(values: Sequence[float]) -> str:
    low, high = _share(min(values)), _share(max(values))
    return low if low == high else f"{low} to {high}"


def _cell(cells: Sequence[Measured], row: str, column: str) -> str:
    found = [cell for cell in cells if (cell.row, cell.column) == (row, column)]
    if not found:
        return _EMPTY
    name, values = "ASR", [cell.attack_success.value for cell in found if cell.attack_success is not None]
    if not values:
        name, values = "ACC", [cell.clean_accuracy.value for cell in found]
    if len(values) < 2:
        return _rates(found)
    return f"{_rates(found)} ({name} {_from_to(values)}, {len(found)})"


def _rates(cells: Sequence[Measured]) -> str:
    """Write the means of some students, without the attack's where there is none."""
    shares = [[cell.clean_accuracy for cell in cells]]
    shares += [[rate for cell in cells if (rate := cell.attack_success) is not None]]
    shares += [[rate for cell in cells if (rate := cell.clean_target_rate) is not None]]
    return " / ".join(_share(fmean(rate.value for rate in rates)) for rates in shares if rates)


def _mean_over_rows(cells: Sequence[Measured]) -> str:
    """Write the means over teachers of what their students have in the mean: seeds count once."""
    rows = [[cell for cell in cells if cell.row == row] for row in dict.fromkeys(cell.row for cell in cells)]
    means = [
        [fmean(values) for row in rows if (values := [r.value for r in map(rate, row) if r is not None])]
        for rate in (
            lambda cell: cell.clean_accuracy,
            lambda cell: cell.attack_success,
            lambda cell: cell.clean_target_rate,
        )
    ]
    return " / ".join(_share(fmean(values)) for values in means if values)


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
            if cell.column == f"{method}/none" and _moved_share(cell) >= least
        }
        if not moved:
            continue
        parts = []
        for column in (column for column in columns if _undefended(column) == method):
            found = [cell for cell in cells if cell.column == column and (cell.row, cell.seed) in moved]
            rates = [cell.attack_success.value for cell in found if cell.attack_success is not None]
            if rates:
                told = f"{_column_title(column)} {_mean_over_rows(found)} (highest ASR {_share(max(rates))}"
                parts.append(f"{told}{_twins_of(found, moved, cells, method)})")
        lines.append(
            f"- `{method}`, the {_counted(len(moved), 'student')} (of "
            f"{_counted(len({row for row, _ in moved}), 'teacher')}) whose undefended twin has "
            f"(ASR - CTR) / (1 - CTR) of {_least(least)} or more, mean ACC / ASR / CTR over the teachers: "
            f"{'; '.join(parts)}."
        )
    return lines


def _moved_share(cell: Measured) -> float:
    return moved_share(_value(cell.attack_success) or 0.0, _value(cell.clean_target_rate) or 0.0)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _twins_of(
    found: Sequence[Measured], moved: set[tuple[str, int]], cells: Sequence[Measured], method: str
) -> str:
    """Where a column has but some of the students, say how many, and what the undefended of these had."""
    if len(found) == len(moved):
        return ""
    places = {(cell.row, cell.seed) for cell in found}
    twins = [c for c in cells if c.column == f"{method}/none" and (c.row, c.seed) in places]
    return f"; only {len(found)} of these, whose undefended twins have {_mean_over_rows(twins)}"


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
