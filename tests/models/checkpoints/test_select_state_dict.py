"""Which mapping is the model, and what happens when that is not clear."""

from __future__ import annotations

import argparse
import io
from collections import Counter, defaultdict

import pytest
import torch

from models.checkpoints.scan import scan_checkpoint

WEIGHTS = {"w": torch.ones(2)}


def saved(content: object) -> bytes:
    out = io.BytesIO()
    torch.save(content, out)
    return out.getvalue()


@pytest.mark.parametrize(
    "key", ["state_dict", "model", "net", "model_state_dict", "model_state", "ema", "student", "teacher"]
)
def test_finds_the_known_names(key: str, write) -> None:
    scanned = scan_checkpoint(write(saved({"epoch": 1, key: WEIGHTS})))
    assert (scanned.state_dict_key, scanned.dropped) == (key, ("epoch",))


def test_a_known_name_wins_over_other_mappings_of_tensors(write) -> None:
    scanned = scan_checkpoint(write(saved({"statistics": {"mean": torch.zeros(3)}, "net": WEIGHTS})))
    assert scanned.state_dict_key == "net"
    assert not scanned.warnings


def test_takes_an_unknown_name_that_is_alone_and_says_so(write) -> None:
    scanned = scan_checkpoint(write(saved({"netD": WEIGHTS, "epoch": 1})))
    assert scanned.state_dict_key == "netD"
    assert "'netD'" in scanned.warnings[0]


@pytest.mark.parametrize("keys", [("student", "teacher"), ("model", "ema"), ("netG", "netD")])
def test_names_the_candidates_when_there_are_several(keys: tuple[str, str], refused) -> None:
    error = refused(saved(dict.fromkeys(keys, WEIGHTS)))
    assert error.code == "state_dict_ambiguous"
    assert all(key in error.detail for key in keys)


def test_a_declared_key_settles_it(write) -> None:
    path = write(saved({"student": WEIGHTS, "teacher": {"w": torch.zeros(2)}}))
    scanned = scan_checkpoint(path, state_dict_key="teacher")
    assert scanned.tensors["w"].array.tolist() == [0, 0]
    assert scanned.dropped == ("student",)


def test_a_declared_key_may_be_a_path(write) -> None:
    path = write(saved({"run": {"epoch": 2, "best": WEIGHTS}}))
    assert scan_checkpoint(path, state_dict_key="run.best").state_dict_key == "run.best"


@pytest.mark.parametrize(
    ("content", "told"),
    [({"student": WEIGHTS}, "student"), (WEIGHTS, "top of the file"), ({"epoch": 1}, "No entry")],
)
def test_a_wrong_key_is_answered_with_what_is_there(content: dict, told: str, refused) -> None:
    error = refused(saved(content), state_dict_key="model.deep")
    assert error.code == "state_dict_key_not_found"
    assert told in error.detail


@pytest.mark.parametrize(
    "content", [{}, {"w": 1.0}, [torch.ones(2)], torch.ones(2), {"a": {"b": WEIGHTS}}, 7]
)
def test_refuses_files_without_a_state_dict(content: object, refused) -> None:
    assert refused(saved(content)).code == "state_dict_not_found"


RIVALS = {
    "counter": Counter(WEIGHTS),
    "defaultdict": defaultdict(list, WEIGHTS),
    "and_more": {**WEIGHTS, "epoch": 3},
    "averages": {"decay": 0.99, "shadow": WEIGHTS},
    "deep": {"a": {"b": {"c": WEIGHTS}}},
    "numbered": {0: torch.ones(2)},
    "settings": argparse.Namespace(arch="vgg"),
}


@pytest.mark.parametrize("rival", RIVALS.values(), ids=RIVALS.keys())
@pytest.mark.parametrize("found", ["model", "weights"])
def test_a_known_name_with_weights_among_other_things_is_never_skipped(
    found: str, rival: object, write, refused
) -> None:
    content = saved({found: WEIGHTS, "state_dict": rival})
    error = refused(content)
    assert error.code == "state_dict_ambiguous"
    assert "'state_dict'" in error.detail
    assert "state_dict_key to it" in error.hint and found in error.hint
    assert scan_checkpoint(write(content), state_dict_key=found).dropped[0] == "state_dict"


@pytest.mark.parametrize("beside", ["resnet", None, 3, {}, {"name": "vgg", "width": {"k": 4}}, ["w"]])
def test_a_known_name_without_weights_is_dropped(beside: object, write) -> None:
    content = saved(
        {"model": beside, "state_dict": WEIGHTS, "optimizer": {"state": {0: {"m": torch.ones(2)}}}}
    )
    scanned = scan_checkpoint(write(content))
    assert (scanned.state_dict_key, scanned.dropped[:2]) == ("state_dict", ("model", "optimizer"))


def test_averages_under_another_name_are_dropped(write) -> None:
    averages = {"decay": 0.99, "shadow": WEIGHTS}
    scanned = scan_checkpoint(write(saved({"state_dict": WEIGHTS, "ema_state_dict": averages})))
    assert scanned.state_dict_key == "state_dict"


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "module.module."])
def test_strips_wrapper_prefixes(prefix: str, write) -> None:
    scanned = scan_checkpoint(write(saved({f"{prefix}a.w": torch.ones(2), f"{prefix}b.w": torch.ones(2)})))
    assert (list(scanned.tensors), scanned.stripped_prefix) == (["a.w", "b.w"], prefix)


def test_keeps_a_prefix_that_not_all_names_share(write) -> None:
    scanned = scan_checkpoint(write(saved({"module.w": torch.ones(2), "w": torch.ones(2)})))
    assert (list(scanned.tensors), scanned.stripped_prefix) == (["module.w", "w"], None)


def test_names_of_dropped_entries_are_printable_and_few(write) -> None:
    content = {f"entry {index}\n\x1b": index for index in range(80)}
    scanned = scan_checkpoint(write(saved({"net": WEIGHTS, **content})))
    assert len(scanned.dropped) == 51
    assert all(name.isprintable() for name in scanned.dropped)
    assert scanned.dropped[-1] == "and 30 more"
