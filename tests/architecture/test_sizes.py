"""Small files and small functions: what does not fit into one screen hides its faults."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("app", "worker", "models", "scripts", "benchmarks", "tests")
MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 60


def sources() -> list[Path]:
    return sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


def too_long_functions(path: Path) -> list[str]:
    functions = (
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    lengths = [(node.name, (node.end_lineno or node.lineno) - node.lineno + 1) for node in functions]
    return [f"{name}: {length} lines" for name, length in lengths if length > MAX_FUNCTION_LINES]


def test_there_are_sources() -> None:
    assert len(sources()) > 50


@pytest.mark.parametrize("folder", FOLDERS)
def test_files_are_small(folder: str) -> None:
    paths = [path for path in sources() if path.is_relative_to(ROOT / folder)]
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in paths}
    assert {name: length for name, length in lengths.items() if length > MAX_FILE_LINES} == {}


@pytest.mark.parametrize("folder", FOLDERS)
def test_functions_are_small(folder: str) -> None:
    paths = [path for path in sources() if path.is_relative_to(ROOT / folder)]
    found = {str(path.relative_to(ROOT)): too_long_functions(path) for path in paths}
    assert {name: functions for name, functions in found.items() if functions} == {}


def test_a_long_function_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "long.py"
    path.write_text("def f():\n" + "    x = 1\n" * MAX_FUNCTION_LINES)
    assert too_long_functions(path) == ["f: 61 lines"]
