"""The process behind ``proctor calibrate``, run in this one."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
import torch

from models.architectures import build
from models.checkpoints.save import save_student
from models.errors import Interrupted
from models.lab.calibration import __main__ as process
from models.lab.calibration import folder as folder_module
from models.lab.monitor import FileMonitor
from models.probes.calibration.read_set import read_set_file
from models.probes.calibration.score import Scores, score_teacher
from models.recipes.architecture import ArchitectureSpec, Normalization

MEAN = "bn1.running_mean"
PROFILE = (0.5, -0.5)
NAMED = "No normalization was declared: the one is used that the file names in its header."
SCORES = {"mmbd": 0.1, "trigger_inversion": 0.2}


@pytest.fixture(autouse=True)
def signals():
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Score at once; the list holds the seeds. More than two networks in a row interrupt."""
    seeds: list[int] = []

    def score(teacher, data, recipe, monitor):
        if monitor.should_stop():
            raise Interrupted("The monitor asked to stop.")
        seeds.append(recipe.seed)
        return Scores(dict(SCORES), {"mmbd": PROFILE})

    monkeypatch.setattr(folder_module, "score_teacher", score)
    return seeds


def save(path: Path, seed: int, num_classes: int = 2, mean: float = 0.0) -> None:
    """Save a network, with a running mean for a channel that nothing looks at."""
    spec = ArchitectureSpec("wrn-10-1", num_classes, 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    network = build(spec)
    tensors = network.state_dict()
    tensors[MEAN][0], tensors["bn1.weight"][0] = mean, 0.0
    save_student(network, spec, Normalization(), path, {})


def ask(capsys, folder: Path, **changes):
    request = {
        "checkpoints": str(folder), "output": str(folder.parent / "set.json"), "budget": "quick",
        "images": None, "patch_style": "photo", "surrogates": "patches", "make": None, "task": None,
        "declared": {"input_size": 8, "mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2]},
        "device": "cpu", "threads": 1, "sandbox": "degraded", "json": True,
    } | changes  # fmt: skip
    code = process.main([json.dumps(request)])
    told = capsys.readouterr()
    return code, (json.loads(told.out) if request["json"] and told.out else told.out)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "clean"
    save(made / "a.safetensors", 0)
    save(made / "Fine-tuned" / "b.safetensors", 1)
    return made


def test_every_network_is_a_reference_of_its_folders_kind(folder, capsys, scored) -> None:
    code, document = ask(capsys, folder)
    made = read_set_file(folder.parent / "set.json")
    assert code == 0
    assert (document["references"], document["sha256"], document["left_out"]) == (2, made.sha256, [])
    assert {(r.kind, r.note) for r in made.references} == {
        ("plain", "a.safetensors"),
        ("fine-tuned", "Fine-tuned/b.safetensors"),
    }
    assert made.conditions.architecture == "wrn-10-1"
    assert (made.conditions.budget, made.conditions.images) == ("quick", "patches")


def test_a_set_may_be_for_audits_that_invert_images(folder, capsys, scored) -> None:
    ask(capsys, folder)
    ask(capsys, folder, surrogates="inverted")
    made = read_set_file(folder.parent / "set.json")
    assert (made.conditions.images, made.conditions.patch_style) == ("inverted images", "photo")
    assert made.conditions.searched == 100
    assert len(scored) == 4


def test_every_network_is_scored_with_a_seed_of_its_own(folder, capsys, scored) -> None:
    ask(capsys, folder)
    assert len(set(scored)) == 2


def test_what_is_scored_is_not_scored_again(folder, capsys, scored) -> None:
    _, first = ask(capsys, folder)
    with (folder.parent / "set.scores.jsonl").open("ab") as file:
        file.write(b'{"sha256": "torn')
    save(folder / "c.safetensors", 2)
    _, second = ask(capsys, folder)
    _, third = ask(capsys, folder)
    assert (first["references"], second["references"], len(scored)) == (2, 3, 3)
    assert third == second


def test_a_set_that_nobody_would_read_is_refused_with_how_many_fit(
    folder, capsys, scored, monkeypatch
) -> None:
    """All scoring was done, and the hint led to the same refusal; now fewer are taken without new scores."""
    ask(capsys, folder)
    size = (folder.parent / "set.json").stat().st_size
    monkeypatch.setattr(folder_module, "MAX_BYTES", size - 1)
    code, document = ask(capsys, folder)
    assert (code, document["error"]["code"], len(scored)) == (3, "calibration_invalid", 2)
    assert f"2 references has {size:,} bytes" in document["error"]["detail"]
    assert document["error"]["hint"].startswith("Leave 1 of them")


def test_another_budget_is_scored_anew(folder, capsys, scored) -> None:
    ask(capsys, folder)
    ask(capsys, folder, budget="standard")
    assert len(scored) == 4


def test_the_same_weights_behind_another_normalization_are_scored_anew(folder, capsys, scored) -> None:
    """Whoever mistyped --std must not get the scores of the wrong one in the set that is made next."""
    ask(capsys, folder)
    ask(capsys, folder, declared={"input_size": 8, "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]})
    assert len(scored) == 4


def test_what_the_intake_warns_of_is_passed_on(folder, capsys, scored) -> None:
    """Without --mean and --std one is taken from elsewhere, and every score depends on it."""
    _, document = ask(capsys, folder, declared={"input_size": 8})
    _, text = ask(capsys, folder, declared={"input_size": 8}, json=False)
    assert {"files": ["Fine-tuned/b.safetensors", "a.safetensors"], "warning": NAMED} in document["warnings"]
    assert f"warning: Fine-tuned/b.safetensors and 1 more: {NAMED}" in text


def test_a_stopped_run_keeps_its_scores_and_writes_no_set(folder, capsys, scored, monkeypatch) -> None:
    asked: list[int] = []

    def stops(monitor) -> bool:
        asked.append(1)
        return len(asked) > 1

    with monkeypatch.context() as patched:
        patched.setattr(FileMonitor, "should_stop", stops)
        code, _ = ask(capsys, folder)
    assert (code, len(scored), (folder.parent / "set.json").exists()) == (130, 1, False)
    code, document = ask(capsys, folder)
    assert (code, document["references"], len(scored)) == (0, 2, 2)


def test_what_cannot_be_a_reference_is_left_out_and_the_reason_said(folder, capsys, scored) -> None:
    (folder / "x-broken.pt").write_bytes(b"no checkpoint")
    (folder / "readme.txt").write_text("not looked at")
    save(folder / "y-other.safetensors", 3, num_classes=5)
    (folder / "z-copy.safetensors").write_bytes((folder / "a.safetensors").read_bytes())
    code, document = ask(capsys, folder)
    left = {entry["file"]: entry["why"] for entry in document["left_out"]}
    assert (code, document["references"]) == (0, 2)
    assert set(left) == {"x-broken.pt", "y-other.safetensors", "z-copy.safetensors"}
    assert "5 classes" in left["y-other.safetensors"]
    assert "a.safetensors" in left["z-copy.safetensors"]


def test_a_network_that_cannot_be_inverted_is_left_out_and_the_others_are_scored(
    folder, capsys, scored, monkeypatch
) -> None:
    """It ended the command as wrong usage, without a set and without its name."""
    unscored = folder_module.score_teacher

    def score(teacher, data, recipe, monitor):
        forged = float(teacher.network.state_dict()[MEAN].abs().max()) > 1
        return (score_teacher if forged else unscored)(teacher, data, recipe, monitor)

    monkeypatch.setattr(folder_module, "score_teacher", score)
    save(folder / "b-forged.safetensors", 2, mean=1e30)
    code, document = ask(capsys, folder, surrogates="inverted")
    (left,) = document["left_out"]
    assert (code, document["references"], left["file"]) == (0, 2, "b-forged.safetensors")
    assert left["why"].startswith("No images can be inverted from this network")
    assert (folder.parent / "set.json").exists()


def test_a_folder_without_references_is_an_error(tmp_path, capsys, scored) -> None:
    code, document = ask(capsys, tmp_path)
    assert (code, document["error"]["code"]) == (3, "references_missing")
    assert "*.safetensors" in document["error"]["hint"]


def test_an_architecture_that_there_is_not_is_wrong_usage(tmp_path, capsys, scored) -> None:
    make = {"count": 1, "data": "digits", "first_seed": 0, "plain": {}}
    code, document = ask(capsys, tmp_path, make=make, declared={"architecture": "nope"})
    assert (code, document["error"]["code"]) == (4, "architecture_unknown")


def test_for_people_it_says_how_few_references_are_too_few(folder, capsys, scored) -> None:
    _, text = ask(capsys, folder, json=False)
    assert "2 references" in text
    assert "too few for a detection" in text


def test_the_probes_themselves_score_a_network(tmp_path, capsys) -> None:
    save(tmp_path / "clean" / "a.safetensors", 0)
    code, _ = ask(capsys, tmp_path / "clean")
    made = read_set_file(tmp_path / "set.json")
    assert code == 0
    assert made.probes == ("mmbd", "trigger_inversion")


def test_a_folder_that_cannot_be_made_is_said_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    code, error = ask(capsys, tmp_path / "networks", output=str(tmp_path / "file" / "set.json"))
    assert (code, error["error"]["code"]) == (2, "os_error")
