"""A second network in objects, lists and mappings of any name: refused or told, and optimizers are none."""

from __future__ import annotations

import argparse
import io
import time
import types
from collections import Counter, OrderedDict, defaultdict, deque

import pytest
import torch

from models.checkpoints.scan import scan_checkpoint
from tests.hostile.craft import A, torch_zip
from tests.untraced import untraced

LAYERS = torch.nn.Sequential(*(torch.nn.Linear(2, 2) for _ in range(8)))
NETWORK = LAYERS.state_dict()
OTHER = {name: tensor + 1 for name, tensor in NETWORK.items()}
RENAMED = {f"net.{name}": tensor for name, tensor in OTHER.items()}


def saved(content: object) -> bytes:
    out = io.BytesIO()
    torch.save(content, out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("beside", "place"),
    [
        ({"shadow": list(OTHER.values())}, "in 'shadow'"),
        (
            {"averages": {"decay": 0.9, "shadow_params": list(OTHER.values())[:8]}},
            "in 'averages.shadow_params'",
        ),
        ({"history": [1, (3, tuple(OTHER.values()))]}, "in 'history'"),
        ({"renamed": RENAMED}, "in 'renamed'"),
        ({"renamed": OrderedDict(RENAMED, epoch=3)}, "in 'renamed'"),
        ({"numbered": dict(enumerate(OTHER.values()))}, "in 'numbered'"),
        ({"counter": Counter(RENAMED)}, "in 'counter'"),
        ({"defaults": defaultdict(list, RENAMED)}, "in 'defaults'"),
        ({"defaults": defaultdict(list, enumerate(OTHER.values()))}, "in 'defaults'"),
        ({"queue": deque(OTHER.values())}, "in 'queue'"),
        ({"args": argparse.Namespace(run=types.SimpleNamespace(net=RENAMED))}, "in 'args.run.net'"),
        ({"args": argparse.Namespace(**RENAMED)}, "in 'args'"),
        (RENAMED, "at the top of the file"),
        ({7: [OTHER["0.weight"]] * 8}, "in '(no text)'"),
    ],
)
def test_tensors_of_the_weights_shapes_are_told_by_their_place(beside: dict, place: str, write) -> None:
    scanned = scan_checkpoint(write(saved({"model": NETWORK, **beside})))
    assert scanned.tensors["0.weight"].array.tolist() == NETWORK["0.weight"].tolist()
    (warning,) = scanned.warnings
    assert f" {place}" in warning and "'model'" in warning


def test_three_places_are_named_and_the_others_counted(write) -> None:
    lists = {f"list{number}": list(OTHER.values()) for number in range(5)}
    (warning,) = scan_checkpoint(write(saved({"model": NETWORK, **lists}))).warnings
    assert warning.count("'list") == 3
    assert "2 more places" in warning


@pytest.mark.parametrize(
    "beside",
    [
        Counter(OTHER),
        defaultdict(list, OTHER),
        argparse.Namespace(net=OTHER),
        deque([OTHER]),
        types.SimpleNamespace(
            runs=[defaultdict(list, {"module." + name: one for name, one in OTHER.items()})]
        ),
    ],
)
def test_the_weights_names_in_an_object_are_the_weights_names(beside: object, write, refused) -> None:
    content = saved({"model": NETWORK, "beside": beside})
    error = refused(content)
    assert (error.code, "'beside" in error.detail) == ("state_dict_ambiguous", True)
    assert not scan_checkpoint(write(content), state_dict_key="model").warnings


OPTIMIZERS = {
    "sgd": lambda weights: torch.optim.SGD(weights, lr=0.1, momentum=0.9),
    "amsgrad": lambda weights: torch.optim.AdamW(weights, amsgrad=True),
    "rmsprop": lambda weights: torch.optim.RMSprop(weights, momentum=0.9, centered=True),
    "rprop": torch.optim.Rprop,
    "adagrad": torch.optim.Adagrad,
    "lbfgs": lambda weights: torch.optim.LBFGS(weights, history_size=5),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_is_no_second_network(name: str, write) -> None:
    network = torch.nn.Sequential(*(torch.nn.Linear(2, 2) for _ in range(8)))
    optimizer = OPTIMIZERS[name](network.parameters())
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = network(torch.ones(3, 2)).square().sum()
        value.backward()
        return value

    for _ in range(3):
        optimizer.step(loss)
    content = {
        "model": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "states": optimizer.state,
        "scheduler": schedule.state_dict(),
        "rng": torch.get_rng_state(),
        "confusion": [torch.ones(10, 10)] * 20,
    }
    scanned = scan_checkpoint(write(saved(content)))
    assert (scanned.state_dict_key, scanned.warnings) == ("model", ())


def test_objects_in_objects_without_end_cost_little(write) -> None:
    model = A.text("model") + b"}" + A.text("w") + A.tensor() + b"s"
    depth = 30_000
    opened = b"ccollections\nCounter\nq\x00)R" + (A.text("a" * 80) + b"q\x01h\x00)R")
    deep = b"h\x01h\x00)R" * depth + b"s" * depth
    began = time.process_time()
    with untraced():
        scanned = scan_checkpoint(
            write(torch_zip(b"\x80\x02}(" + model + A.text("x") + opened + deep + b"su."))
        )
    assert scanned.state_dict_key == "model"
    del scanned
    assert time.process_time() - began < 10  # 1 s


def test_many_shapes_and_many_containers_cost_little(write) -> None:
    """Each of 90,000 containers was once compared with each of 4,000 shapes: 45 s, now 3."""
    make = b"ctorch._utils\n_rebuild_tensor_v2\nq\x01" + A.storage() + b"q\x02"
    weights = b"".join(
        A.text(f"w{rows}") + b"h\x01(h\x02K\x00" + A.number(rows) + b"K\x01\x86K\x00K\x00\x86\x89}tR"
        for rows in range(1, 4000)
    )
    model = A.text("made") + b"(" + make + b"t" + A.text("model") + b"}(" + weights + b"u"
    content = torch_zip(b"\x80\x02}(" + model + A.text("x") + b"(" + b"}" * 90_000 + b"tu.")
    began = time.process_time()
    with untraced():
        assert len(scan_checkpoint(write(content)).tensors) == 3999
    assert time.process_time() - began < 15
