"""Layer lists on the command line: read from a file, checked, sent without blanks."""

import json
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import safetensors.torch

from app.cli import run
from app.client import ProctorClient
from app.client.retry import RetryPolicy
from app.commands import connection
from app.commands.options import read_layers
from app.home import write_private
from models.recipes.layer_list.limits import MAX_TEXT_BYTES
from tests.described_networks import trained
from tests.layer_lists import LENET, RELU, listed


@pytest.fixture
def teacher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PROCTOR_HOME", str(tmp_path))
    safetensors.torch.save_file(trained("lenet").state_dict(), tmp_path / "lenet.safetensors")
    return tmp_path / "lenet.safetensors"


@pytest.fixture
def layers(tmp_path: Path) -> Path:
    path = tmp_path / "net.json"
    path.write_text(json.dumps(LENET, indent=4))
    return path


def test_inspect_reads_a_described_checkpoint(
    teacher: Path, layers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["inspect", str(teacher), "--layers", str(layers), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["architecture"]["name"] == f"layers-{found['layers_sha256'][:12]}"
    assert (found["parameters"], found["architecture"]["input_size"]) == (62_006, 28)
    assert found["layers_summary"].startswith("2 convolutions, 3 linear layers")
    assert run(["inspect", str(teacher), "--layers", str(layers)]) == 0
    shown = capsys.readouterr().out
    assert found["layers_sha256"] in shown.replace("\n", "").replace(" ", "").replace("│", "")
    assert "kernel" not in shown


def test_inspect_without_the_description_does_not_know_it(
    teacher: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["inspect", str(teacher), "--json"]) == 3
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == "architecture_unknown"
    assert "--layers net.json" in error["hint"]


def test_inspect_names_the_layer_that_is_wrong(
    teacher: Path, layers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layers.write_text(json.dumps({**LENET, "layers": [*LENET["layers"][:6], *LENET["layers"][7:]]}))
    assert run(["inspect", str(teacher), "--layers", str(layers), "--json"]) == 3
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == "layers_shape_mismatch"
    assert error["detail"].startswith("layers[6] is linear")


def test_inspect_lists_differences(teacher: Path, layers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layers.write_text(json.dumps(LENET).replace('"conv2"', '"conv3"'))
    assert run(["inspect", str(teacher), "--layers", str(layers), "--json"]) == 3
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == "architecture_mismatch"
    assert "conv3.weight [16, 6, 5, 5] is missing" in error["detail"]


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"\xff\xfe", "UTF-8"), (b" " * 2**20 + b"{}", "longer"), (b"1" * 32_769, "longer")],
)
def test_what_cannot_be_a_layer_list_is_a_usage_error(
    content: bytes, words: str, teacher: Path, layers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layers.write_bytes(content)
    assert run(["inspect", str(teacher), "--layers", str(layers)]) == 4
    assert words in capsys.readouterr().err


def sent(text: str, teacher: Path, layers: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Submit with a description and return what the server was sent of it."""
    urls: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        urls.append(str(request.url))
        return httpx.Response(
            200, json={"id": "tch_1" if request.method == "PUT" else "job_1", "status": "ready"}
        )

    def connect(url: str, key: str) -> ProctorClient:
        return ProctorClient(url, key, httpx.MockTransport(answer), RetryPolicy(attempts=1))

    monkeypatch.setattr(connection, "ProctorClient", connect)
    write_private(teacher.parent / "api_key", "prk_x\n")
    layers.write_text(text)
    assert run(["submit", str(teacher), "--layers", str(layers), "--input-size", "28"]) == 0
    assert len(urls[0]) < 65_536 - 4_096  # what server and client take, less room for headers
    (value,) = parse_qs(urlsplit(urls[0]).query)["layers"]
    return value


def test_submit_sends_it_without_blanks_and_otherwise_as_it_is(
    teacher: Path, layers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = json.dumps({**LENET, "note": 'a "quoted" \\ {b} : , '}, indent=4)
    assert sent(text, teacher, layers, monkeypatch) == json.dumps(json.loads(text), separators=(",", ":"))
    assert sent('{"a": 1, "a": NaN}', teacher, layers, monkeypatch) == '{"a":1,"a":NaN}'


def test_strings_that_do_not_end_are_read_once(tmp_path: Path) -> None:
    path = tmp_path / "net.json"
    path.write_text('"' + '\\"' * 10_000 + " " + "\\")
    started = time.process_time()
    assert read_layers(path) == path.read_text()
    assert time.process_time() - started < 0.5  # 1.2 s where each quote begins a search of its own


def test_the_longest_description_fits_into_a_url(
    teacher: Path, layers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = json.dumps(listed(32, *[RELU] * 1_785), separators=(",", ":"))
    assert MAX_TEXT_BYTES - 100 < len(text) <= MAX_TEXT_BYTES
    assert sent(text, teacher, layers, monkeypatch) == text
