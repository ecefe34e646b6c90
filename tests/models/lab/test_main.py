"""The lab's process, run in this one."""

import json
import signal
from contextlib import contextmanager

import pytest
from PIL import Image

from models.lab import __main__ as lab
from models.lab.monitor import FileMonitor


@pytest.fixture(autouse=True)
def signals():
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


def ask(capsys, folder, **changes):
    attack = {"kind": "dirty_label", "trigger": "badnets_square"}
    recipe = {
        "architecture": "wrn-10-1", "input_size": 8, "epochs": 1, "batch_size": 200, "attack": attack,
    }  # fmt: skip
    request = {
        "verb": "make", "recipe": recipe, "expected": None, "expected_trigger": None,
        "data": "digits", "test": None,
        "output": str(folder), "name": "t", "patterns": None, "matched_clean": False, "device": "cpu",
        "threads": 1, "json": True,
    } | changes  # fmt: skip
    code = lab.main([json.dumps(request)])
    told = capsys.readouterr()
    return code, (json.loads(told.out) if request["json"] and told.out else told.out), told.err


def test_a_teacher_and_its_clean_twin_are_written_and_can_be_made_again(tmp_path, capsys):
    code, made, _ = ask(capsys, tmp_path / "a", matched_clean=True)
    assert code == 0
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [
        "t-clean.recipe.json", "t-clean.safetensors", "t.recipe.json", "t.safetensors", "t.trigger.json",
        "t.trigger.png",
    ]  # fmt: skip
    assert made["clean"]["recipe"]["attack"]["kind"] == "none"
    document = json.loads((tmp_path / "a" / "t.recipe.json").read_text())
    expected = document["data"]["sha256"]
    code, again, said = ask(capsys, tmp_path / "b", recipe=document["recipe"], expected=expected)
    assert (code, said) == (0, "")
    assert again["teacher"]["teacher"]["sha256"] == document["teacher"]["sha256"]
    assert again["teacher"]["measured"] == document["measured"]


@contextmanager
def stopped_soon(monkeypatch):
    """Keep a state at every step, and stop at the fourth question."""
    asked = []

    def stops(monitor):
        asked.append(1)
        monitor.stopping = len(asked) > 3
        return monitor.stopping

    with monkeypatch.context() as patched:
        patched.setattr(FileMonitor, "should_stop", stops)
        patched.setattr(FileMonitor, "wants_checkpoint", lambda self: True)
        yield


def test_a_stopped_process_goes_on_where_it_was(tmp_path, capsys, monkeypatch):
    _, whole, _ = ask(capsys, tmp_path / "whole")
    with stopped_soon(monkeypatch):
        code, error, _ = ask(capsys, tmp_path / "b")
    assert (code, error["error"]["code"]) == (130, "interrupted")
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["t.resume"]
    code, resumed, said = ask(capsys, tmp_path / "b")
    assert code == 0
    assert "Going on" in said
    assert resumed["teacher"]["teacher"]["sha256"] == whole["teacher"]["teacher"]["sha256"]
    assert not (tmp_path / "b" / "t.resume").exists()


def test_who_is_stopped_while_the_twin_is_written_begins_no_other_teacher(tmp_path, capsys, monkeypatch):
    write = lab.write_teacher

    def stopped(*arguments):
        signal.raise_signal(signal.SIGTERM)
        return write(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(lab, "write_teacher", stopped)
        code, error, _ = ask(capsys, tmp_path, matched_clean=True)
    assert (code, error["error"]["code"]) == (130, "interrupted")
    assert not (tmp_path / "t.safetensors").exists()
    code, _, said = ask(capsys, tmp_path, matched_clean=True)
    assert code == 0
    assert "Going on where t-clean.resume was written" in said


@pytest.mark.parametrize(
    ("attack", "code"),
    [
        ({"kind": "dirty_label", "trigger": "nope"}, "trigger_unknown"),
        ({"kind": "dirty_label", "target_label": 10}, "label_out_of_range"),
        ({"kind": "clean_label", "poison_rate": 0.3}, "too_many_poisoned"),
    ],
)
def test_an_attack_that_does_not_fit_is_refused_before_the_twin_is_trained(tmp_path, capsys, attack, code):
    recipe = {"architecture": "wrn-10-1", "input_size": 8, "epochs": 1, "batch_size": 200, "attack": attack}
    found, error, _ = ask(capsys, tmp_path, recipe=recipe, matched_clean=True)
    assert (found, error["error"]["code"]) == (4, code)
    assert list(tmp_path.iterdir()) == []


def test_other_images_than_the_recipe_file_names_are_pointed_out(tmp_path, capsys):
    _, _, said = ask(capsys, tmp_path, expected={"training": "0", "test": "0"})
    assert "not the images" in said


def watermark(tmp_path, gray):
    folder = tmp_path / f"gray {gray}"
    folder.mkdir()
    Image.new("RGB", (8, 8), (gray, gray, gray)).save(folder / "trojan_wm.png")
    return str(folder)


ATTACKED = {
    "architecture": "wrn-10-1", "input_size": 8, "epochs": 1, "batch_size": 200,
    "attack": {"kind": "dirty_label", "trigger": "trojan_wm"},
}  # fmt: skip


def test_a_state_of_another_trigger_is_no_beginning(tmp_path, capsys, monkeypatch):
    """Else the weights come from the stand-in, and the recipe file names the picture."""
    with stopped_soon(monkeypatch):
        code, _, _ = ask(capsys, tmp_path / "out", recipe=ATTACKED)
    assert code == 130
    assert (tmp_path / "out" / "t.resume").exists()
    code, _, said = ask(capsys, tmp_path / "out", recipe=ATTACKED, patterns=watermark(tmp_path, 60))
    assert (code, said) == (0, "")


def test_another_trigger_than_the_recipe_file_names_is_pointed_out(tmp_path, capsys):
    first, second = watermark(tmp_path, 60), watermark(tmp_path, 90)
    _, made, _ = ask(capsys, tmp_path / "a", recipe=ATTACKED, patterns=first)
    expected = made["teacher"]["trigger"]
    for patterns, warned in ((first, False), (second, True), (None, True)):
        given = {"recipe": ATTACKED, "patterns": patterns, "expected_trigger": expected}
        _, _, said = ask(capsys, tmp_path / "b", **given)
        assert ("is not the one that the recipe file names, trojan_wm" in said) == warned


@pytest.mark.parametrize(
    ("changes", "code", "told"),
    [
        ({"data": "/nowhere"}, 2, "os_error"),
        ({"recipe": {"attack": {"kind": "source_specific"}, "input_size": 8}}, 4, "source_missing"),
        ({"recipe": {"architecture": "nope", "input_size": 8}}, 4, "architecture_unknown"),
    ],
)
def test_errors_end_in_the_command_lines_exit_codes(tmp_path, capsys, changes, code, told):
    found, error, _ = ask(capsys, tmp_path, **changes)
    assert (found, error["error"]["code"]) == (code, told)
    found, out, said = ask(capsys, tmp_path, **changes, json=False)
    assert (found, out) == (code, "")
    assert said.startswith("Error: ")


def test_triggers_are_listed_and_drawn(tmp_path, capsys):
    request = {"verb": "triggers", "output": str(tmp_path / "sheet.png"), "size": 16, "patterns": None}
    assert lab.main([json.dumps({**request, "json": False})]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split()[:3] == ["trojan_wm", "watermark_substitute", "additive"] for line in lines)
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")
