"""docs/traps.md has a row for every trap, and every test that it names exists."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TRAPS = range(1, 51)
ROW = re.compile(r"\| (\d+) \| ([^|]+) \| ([^|]+) \|")
NAME = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def rows() -> dict[int, str]:
    matches = (ROW.fullmatch(line) for line in (ROOT / "docs/traps.md").read_text().splitlines())
    return {int(match[1]): match[3] for match in matches if match}


def missing(cell: str) -> list[str]:
    """Name the tests in ``cell`` that do not exist."""
    absent = []
    for path, name in NAME.findall(cell):
        file = ROOT / path
        tree = ast.parse(file.read_text() if file.exists() else "")
        if name not in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}:
            absent.append(f"{path}::{name}")
    return absent


def test_every_trap_has_a_row() -> None:
    assert list(rows()) == list(TRAPS)


def test_every_row_names_a_test_or_says_why_there_is_none() -> None:
    unsaid = [trap for trap, cell in rows().items() if not NAME.search(cell) and len(cell.split()) < 4]
    assert unsaid == []


def test_every_named_test_exists() -> None:
    assert {trap: absent for trap, cell in rows().items() if (absent := missing(cell))} == {}


def test_a_test_that_is_gone_is_noticed() -> None:
    here = "tests/architecture/test_traps.py"
    gone = [f"{here}::test_nothing", "tests/nowhere.py::test_x"]
    cell = f"`{here}::test_every_trap_has_a_row`, `{gone[0]}`, `{gone[1]}`"
    assert missing(cell) == gone
