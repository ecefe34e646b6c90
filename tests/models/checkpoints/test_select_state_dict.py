"""Which mapping is the model, and what happens when that is not clear."""

from __future__ import annotations

import argparse
import io
from collections import Counter, defaultdict

import pytest
import torch

from models.checkpoints.scan import scan_checkpoint
from models.checkpoints.select_state_dict import KNOWN_KEYS

WEIGHTS = {"w": torch.ones(2)}


def saved(content: object) -> bytes:
    out = io.BytesIO()
    torch.save(content, out)
    return out.getvalue()


@pytest.mark.parametrize("key", KNOWN_KEYS)
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


def wrapped(prefix: str, weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {prefix + name: tensor for name, tensor in weights.items()}


RIVALS = {
    "counter": Counter(WEIGHTS),
    "defaultdict": defaultdict(list, WEIGHTS),
    "and_more": {**WEIGHTS, "epoch": 3},
    "averages": {"decay": 0.99, "shadow": WEIGHTS},
    "deep": {"a": {"b": {"c": WEIGHTS}}},
    "numbered": {0: torch.ones(2)},
    "settings": argparse.Namespace(arch="vgg"),
    "shadow": {"decay": 0.99, "num_updates": 3, "shadow_params": [torch.ones(2)]},
    "pairs": list(WEIGHTS.items()),
    "tuple": tuple(WEIGHTS.items()),
    "list": [WEIGHTS],
    "deep_list": [[{"a": (3, WEIGHTS)}]],
    "defaultdict_inside": {"w": defaultdict(list, WEIGHTS)},
    "counter_in_list": [Counter(WEIGHTS)],
    "tensor": torch.ones(3),
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


NETWORK = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 1), torch.nn.BatchNorm2d(2)).state_dict()
OTHER = {name: tensor + 1 for name, tensor in NETWORK.items()}
TWINS = {
    "timm": {"state_dict": NETWORK, "state_dict_ema": OTHER},
    "timm_model": {"model": NETWORK, "model_ema": OTHER},
    "unknown": {"state_dict": NETWORK, "best": OTHER},
    "averaged": {"state_dict": NETWORK, "swa": {"n_averaged": torch.ones(1), **wrapped("module.", OTHER)}},
    "wrapped": {"state_dict": wrapped("module.", NETWORK), "swa": wrapped("_orig_mod.module.", OTHER)},
    "decayed": {"state_dict": NETWORK, "averages": {"decay": 0.99, "shadow": OTHER}},
    "parameters": {"state_dict": NETWORK, "shadow": {name: OTHER[name] for name in list(OTHER)[:4]}},
    "deep": {"state_dict": NETWORK, "checkpoint": {"model": OTHER}},
    "in_list": {"state_dict": NETWORK, "history": [1, (OTHER,)]},
    "numbered": {"state_dict": NETWORK, "epochs": {7: OTHER}},
    "no_text": {"state_dict": NETWORK, 7: OTHER},
    "top": {"state_dict": NETWORK, **OTHER},
    "alone": {"weights": NETWORK, "run": {"weights": OTHER}},
}


@pytest.mark.parametrize("content", TWINS.values(), ids=TWINS.keys())
def test_weights_that_lie_twice_in_a_file_must_be_chosen_from(content: dict, write, refused) -> None:
    found = next(iter(content))
    error = refused(saved(content))
    assert error.code == "state_dict_ambiguous"
    assert repr(found) in error.detail or found in error.detail
    assert "state_dict_key" in error.hint
    scanned = scan_checkpoint(write(saved(content)), state_dict_key=found)
    assert scanned.tensors["0.weight"].array.tolist() == content[found][next(iter(content[found]))].tolist()


def test_the_other_weights_are_named_by_their_path(write, refused) -> None:
    content = saved({"state_dict": NETWORK, "run": {"best": OTHER}})
    assert "'run.best'" in refused(content).detail
    assert scan_checkpoint(write(content), state_dict_key="run.best").tensors


@pytest.mark.parametrize(
    "beside",
    [
        torch.optim.Adam([torch.nn.Parameter(torch.ones(2))]).state_dict(),
        {"state": {name: {"momentum": tensor} for name, tensor in NETWORK.items()}},
        {"0.weight": torch.ones(2), "1.weight": torch.ones(2)},
        list(NETWORK.values()),
        {"mean": torch.ones(3), "std": torch.ones(3)},
        NETWORK,
    ],
    ids=["optimizer", "named_optimizer", "few", "list", "statistics", "same"],
)
def test_tensors_of_other_names_are_dropped(beside: object, write) -> None:
    scanned = scan_checkpoint(write(saved({"state_dict": NETWORK, "beside": beside})))
    assert (scanned.state_dict_key, scanned.dropped) == ("state_dict", ("beside",))


def test_a_training_checkpoint_is_read_when_one_says_which(write, refused) -> None:
    network = torch.nn.Linear(2, 2)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    network(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    state = {"model": network.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3}
    assert scan_checkpoint(write(saved(state))).state_dict_key == "model"
    with_averages = saved({**state, "model_ema": {**network.state_dict(), "bias": torch.ones(2)}})
    assert "'model'" not in refused(with_averages).hint
    for key in ("model", "model_ema"):
        assert scan_checkpoint(write(with_averages), state_dict_key=key).state_dict_key == key


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
