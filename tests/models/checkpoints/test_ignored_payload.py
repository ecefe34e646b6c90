"""A network of any kind beside the model is told by its size; an optimizer's state for the model is none."""

from __future__ import annotations

import io
import time
import types
from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

from models.checkpoints.scan import scan_checkpoint
from tests.hostile.craft import A, torch_zip
from tests.untraced import untraced

torch.manual_seed(0)
MODEL = nn.Sequential(nn.Linear(100, 200), nn.Linear(200, 100))
OTHER = nn.Sequential(nn.Conv2d(3, 32, 3), nn.Conv2d(32, 99, 3), nn.Linear(99, 70))
OTHER_BYTES = sum(tensor.nbytes for tensor in OTHER.state_dict().values())
NESTED = {name: dict(module.state_dict()) for name, module in OTHER.named_children()}
ARRAYS = {name: tensor.numpy() for name, tensor in OTHER.state_dict().items()}


def saved(content: object, **options: object) -> bytes:
    out = io.BytesIO()
    torch.save(content, out, **options)
    return out.getvalue()


@pytest.mark.parametrize(
    ("beside", "place"),
    [
        ({"second": NESTED}, "'second'"),
        ({"second": {"modules": [NESTED]}}, "'second'"),
        ({"second.0": NESTED["0"], "second.1": NESTED["1"], "second.2": NESTED["2"]}, "'second'"),
        ({"second": {f"n.{key}": one for key, one in OTHER.state_dict().items()} | {"epoch": 3}}, "'second'"),
        (
            {"second": types.SimpleNamespace(**{f"n{key}": one for key, one in NESTED.items()})},
            "'second'",
        ),
        ({7: list(OTHER.parameters())}, "'(no text)'"),
        ({"optimizer": {"state": dict(enumerate(NESTED.values())), "param_groups": []}}, "'optimizer'"),
        ({f"w{number}": one for number, one in enumerate(OTHER.parameters())}, "at the top of the file"),
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_a_network_of_another_kind_is_told(beside: dict, place: str, zipped: bool, write) -> None:
    content = saved({"model": MODEL.state_dict(), **beside}, _use_new_zipfile_serialization=zipped)
    (warning,) = scan_checkpoint(write(content)).warnings
    assert f"{OTHER_BYTES:,}" in warning and place in warning


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_numpy_arrays_are_told(protocol: int, write) -> None:
    content = saved({"model": MODEL.state_dict(), "arrays": ARRAYS}, pickle_protocol=protocol)
    (warning,) = scan_checkpoint(write(content)).warnings
    each_names_a_type = len(ARRAYS) if protocol < 5 else 0
    assert f"'arrays' ({OTHER_BYTES + each_names_a_type:,})" in warning


def test_byte_arrays_are_told(write) -> None:
    blob = bytearray(b"".join(array.tobytes() for array in ARRAYS.values()))
    (warning,) = scan_checkpoint(write(saved({"model": MODEL.state_dict(), "blob": [blob]}))).warnings
    assert f"'blob' ({OTHER_BYTES:,})" in warning


def test_what_lies_in_the_weights_own_storage_is_told(write) -> None:
    storage = torch.randn(40_000)
    model = {"a.weight": storage[:10_000].view(100, 100)}
    (warning,) = scan_checkpoint(write(saved({"model": model, "rest": [storage[10_000:]]}))).warnings
    assert "'rest' (120,000)" in warning
    (warning,) = scan_checkpoint(write(saved(model))).warnings
    assert "in their own storages (120,000)" in warning


@pytest.mark.parametrize("stride", [1, 2])
def test_tensors_that_show_a_storage_twice_or_with_gaps_do_not_hide_the_rest(stride: int, write) -> None:
    storage = torch.randn(40_000)
    shown = storage[: 10_000 * stride : stride]
    model = {f"{name}.weight": shown for name in "abcd"[: 5 - stride]}
    (warning,) = scan_checkpoint(write(saved(model))).warnings
    assert "in their own storages" in warning


def test_a_tensor_that_only_a_dicts_key_holds_is_told(write) -> None:
    big = A.tensor((40_000,), storage=A.storage("1", 40_000))
    pickled = A.state(("model", b"}" + A.text("w") + A.tensor() + b"s"), ("odd", b"}" + big + b"Ns"))
    content = torch_zip(pickled, {"0": b"\0" * 16, "1": b"\0" * 160_000})
    (warning,) = scan_checkpoint(write(content)).warnings
    assert "160,000" in warning


def optimizer_state(make, network: nn.Module) -> dict:
    optimizer = make(network.parameters())
    for _ in range(2):
        optimizer.zero_grad()
        network(torch.ones(3, 100)).square().sum().backward()
        optimizer.step()
    return optimizer.state_dict()


@pytest.mark.parametrize(
    "make",
    [
        lambda weights: torch.optim.SGD(weights, lr=0.01, momentum=0.9),
        lambda weights: torch.optim.AdamW(weights, amsgrad=True),
        lambda weights: torch.optim.RMSprop(weights, momentum=0.9, centered=True),
    ],
)
def test_an_optimizer_of_the_model_is_none(make, write) -> None:
    network = nn.Sequential(nn.Linear(100, 200), nn.Linear(200, 100))
    state = optimizer_state(make, network)
    content = {
        "model": network.state_dict(),
        "optimizer_states": [state],
        "rng": torch.get_rng_state(),
        "curve": np.zeros(1000),
    }
    assert scan_checkpoint(write(saved(content))).warnings == ()


def test_more_than_an_optimizer_keeps_is_told(write) -> None:
    state = {number: {"a": torch.randn(200, 100), "b": torch.randn(100, 200)} for number in range(4)}
    optimizer = {"state": state, "param_groups": []}
    (warning,) = scan_checkpoint(write(saved({"model": MODEL.state_dict(), "optimizer": optimizer}))).warnings
    assert "'optimizer' (160,000)" in warning


def test_the_models_own_tensors_again_are_none(write) -> None:
    state = MODEL.state_dict()
    content = {"model": state, "again": OrderedDict((f"m.{name}", [one]) for name, one in state.items())}
    assert scan_checkpoint(write(saved(content))).warnings == ()


def test_who_says_which_is_the_model_is_told_nothing(write) -> None:
    content = saved({"model": MODEL.state_dict(), "second": NESTED})
    assert scan_checkpoint(write(content), state_dict_key="model").warnings == ()


def test_optimizers_that_share_their_state_cost_little(write) -> None:
    """12,000 optimizers of 12,000 weights of 12,000 values each once took longer than anyone waited."""
    count = 12_000
    remember, recall = b"r%b", b"j%b"
    kept, state = (2).to_bytes(4, "little"), (3).to_bytes(4, "little")
    values = b"}(" + b"".join(A.number(number) + b"N" for number in range(count)) + b"u" + remember % kept
    weights = b"".join(A.number(number) + recall % kept for number in range(count))
    states = b"}(" + weights + b"u" + remember % state
    optimizer = b"}(" + A.text("state") + recall % state + A.text("param_groups") + b"Nu"
    model = A.text("model") + b"}" + A.text("w") + A.tensor() + b"s"
    several = A.text("x") + b"(" + values + states + optimizer * count + b"t"
    began = time.process_time()
    with untraced():
        assert scan_checkpoint(write(torch_zip(b"\x80\x02}(" + model + several + b"u."))).warnings == ()
    assert time.process_time() - began < 10
