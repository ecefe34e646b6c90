"""No way to run code out of data: what deserializes or evaluates does not occur in the product.

torch.load(weights_only=True) still crashes and leaks memory on hostile files, and every unpickler runs what
it reads. The one reader of checkpoints is models.checkpoints; this gate keeps a second one from appearing.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path for folder in ("app", "worker", "models") for path in (ROOT / folder).rglob("*.py"))

MODULES = {
    "pickle",
    "_pickle",
    "cPickle",
    "cloudpickle",
    "dill",
    "joblib",
    "marshal",
    "shelve",
    "torch.jit",
    "torch.hub",
}
ATTRIBUTES = {
    "torch.load",
    "torch.jit",
    "torch.hub",
    "yaml.load",
    "np.load",
    "numpy.load",
    "os.system",
    "os.popen",
}
BUILTINS = {"eval", "exec", "__import__"}
METHODS = {"extractall"}


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def is_forbidden_import(name: str) -> bool:
    return any(name == module or name.startswith(f"{module}.") for module in MODULES)


def violations(tree: ast.Module) -> list[str]:
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if is_forbidden_import(alias.name)]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            found += [name for name in names if is_forbidden_import(name) or name in ATTRIBUTES]
        elif isinstance(node, ast.Attribute) and (dotted(node) in ATTRIBUTES or node.attr in METHODS):
            found.append(dotted(node))
        elif isinstance(node, ast.Name) and node.id in BUILTINS:
            found.append(node.id)
        elif isinstance(node, ast.keyword) and node.arg in {"allow_pickle", "shell"}:
            found.append(f"{node.arg}=")
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_deserializes_or_evaluates(path: Path) -> None:
    assert violations(ast.parse(path.read_text())) == []


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from pickle import loads",
        "import joblib.numpy_pickle",
        "from torch import load",
        "from torch import jit",
        "torch.load(path)",
        "torch.jit.script(f)",
        "torch.hub.load('a')",
        "yaml.load(text)",
        "eval('1')",
        "f = exec",
        "numpy.array(1, allow_pickle=True)",
        "subprocess.run('ls', shell=True)",
        "archive.extractall(path)",
    ],
)
def test_the_gate_sees(code: str) -> None:
    assert violations(ast.parse(code))


@pytest.mark.parametrize(
    "code", ["network.eval()", "session.exec(1)", "yaml.safe_load(text)", "safetensors.torch.load(b)"]
)
def test_the_gate_lets_pass(code: str) -> None:
    assert not violations(ast.parse(code))
