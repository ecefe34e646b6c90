"""The example of docs/formats.md is run, and its table and limits are compared with the code."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from app.cli import run
from app.schemas.layers import read_layer_list
from models.recipes.layer_list import limits
from models.recipes.layer_list.refusals import LAYER_LIST_CODES
from models.recipes.layer_list.vocabulary import Layer, layer_types

SECTION = (
    (Path(__file__).parents[2] / "docs" / "formats.md").read_text("utf-8").split("## Networks of your own")[1]
)
(PYTHON,) = re.findall(r"```python\n(.*?)```", SECTION, flags=re.DOTALL)
(EXAMPLE,) = re.findall(r"```json\n(.*?)```", SECTION, flags=re.DOTALL)


def test_the_example_is_read_and_computes_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    compare = """
from pathlib import Path
from app.schemas.layers import read_layer_list
from models.checkpoints.inspect import InspectOptions, inspect_checkpoint
from models.checkpoints.load import load_teacher

network = Net().eval()
torch.save(network.state_dict(), "net.pt")
options = InspectOptions(layers=read_layer_list(Path("net.json").read_text()))
inspection = inspect_checkpoint(Path("net.pt"), Path("canonical"), options)
images = torch.randn(2, 3, 32, 32)
with torch.inference_mode():
    expected = network(images)
    logits = load_teacher(Path("canonical"), inspection).network(images)
torch.testing.assert_close(logits, expected, rtol=0, atol=1e-6)
"""
    (tmp_path / "net.json").write_text(EXAMPLE)
    environment = {"PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run([sys.executable, "-c", PYTHON + compare], cwd=tmp_path, env=environment, check=True)
    monkeypatch.setenv("PROCTOR_HOME", str(tmp_path))
    assert run(["inspect", str(tmp_path / "net.pt"), "--layers", str(tmp_path / "net.json"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["architecture"]["num_classes"] == 10


def test_the_table_has_every_type_and_field() -> None:
    rows = [row.split("|") for row in SECTION.splitlines() if row.startswith("| `")]
    told = {
        name: set(re.findall(r"`([a-z_]+)`", fields))
        for _, names, fields, *_ in rows
        for name in re.findall(r"`(\w+)`", names)
    }
    members = get_args(get_args(Layer)[0])
    known = {
        name: set(kind.__dataclass_fields__) - {"type"} for kind in members for name in layer_types(kind)
    }
    assert told == known


def test_limits_and_codes_are_those_of_the_code() -> None:
    numbers = {
        int(number.replace(",", ""))
        for number in re.findall(r"\d[\d,]*\d|\d", SECTION.split("**Limits**")[1])
    }
    bounds = {value for name, value in vars(limits).items() if name.startswith("MAX_")} - {
        limits.MAX_OPERATIONS
    }
    assert bounds <= numbers
    assert f"{limits.MAX_OPERATIONS // 10**9} billion" in SECTION
    assert set(re.findall(r"`(layers_\w+)`", SECTION)) == set(LAYER_LIST_CODES)


def test_an_example_of_the_documentation_with_a_mark_is_accepted() -> None:
    document = json.loads(EXAMPLE)
    document["layers"].insert(4, {"type": "stage"})
    assert read_layer_list(json.dumps(document)).layers[4].type == "stage"
