"""Layer lists that nobody means well with: each has its code, names its place, and costs next to nothing."""

from __future__ import annotations

import copy
import json
import random
import time
from typing import Any

import pytest
import torch

from app.schemas.layers import read_layer_list
from models.architectures.described import DescribedNetwork
from models.errors import CheckpointRejected
from models.recipes.layer_list.refusals import LAYER_LIST_CODES
from models.recipes.layer_list.resolve import resolve
from tests.app.schemas.hostile_layers import HOSTILE, first
from tests.described_networks import NETWORKS
from tests.layer_lists import RELU, STAGE, Json


@pytest.mark.parametrize(
    ("text", "code", "words"), [row[1:] for row in HOSTILE], ids=[row[0] for row in HOSTILE]
)
def test_is_refused_by_its_code_at_once(text: str, code: str, words: str) -> None:
    started = time.process_time()
    with pytest.raises(CheckpointRejected) as caught:
        read_layer_list(text)
    assert time.process_time() - started < 1.0
    assert (caught.value.code, caught.value.hint) == (code, LAYER_LIST_CODES[code][1])
    assert words in caught.value.detail
    assert caught.value.detail.isprintable()
    assert len(caught.value.detail) < 400


def test_the_table_has_every_code() -> None:
    assert {code for _, _, code, _ in HOSTILE} == set(LAYER_LIST_CODES)


def test_names_that_torch_has_for_itself_are_names_like_any_other() -> None:
    for name in ("forward", "__class__", "layers", "stem.head", "training", "state_dict"):
        layer = read_layer_list(first(name=name)).layers[0]
        assert getattr(layer, "name", None) == name


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, part in inner for place in places(part, (*path, key)))]


VALUES = [
    -1,
    0,
    1,
    2,
    3,
    31,
    10**9,
    2**63,
    1.5,
    True,
    None,
    "",
    "same",
    "relu",
    "conv",
    [],
    [1, 2],
    {},
    RELU,
    [RELU],
    STAGE,
]


def mutated(document: Json, draw: random.Random) -> Json:
    """Replace, remove or repeat something somewhere."""
    changed = copy.deepcopy(document)
    for _ in range(draw.randint(1, 3)):
        path = draw.choice([place for place in places(changed) if place])
        parent = changed
        for key in path[:-1]:
            parent = parent[key]
        action = draw.randrange(3)
        if action == 0:
            parent[path[-1]] = copy.deepcopy(draw.choice(VALUES))
        elif action == 1:
            del parent[path[-1]]
        elif isinstance(parent, list):
            parent.insert(path[-1], copy.deepcopy(parent[draw.randrange(len(parent))]))
    return changed


@pytest.mark.parametrize("name", NETWORKS)
def test_mutations_are_read_and_run_or_are_refused_and_nothing_else(name: str) -> None:
    draw = random.Random(name)
    accepted = 0
    codes = set()
    for _ in range(150):
        text = json.dumps(mutated(NETWORKS[name][1], draw))
        try:
            described = read_layer_list(text)
        except CheckpointRejected as error:
            codes.add(error.code)
            continue
        accepted += 1
        with torch.device("meta"):  # what is accepted can be built and run
            network = DescribedNetwork(described).eval()
            logits = network(torch.zeros(2, 3, described.input_size, described.input_size))
        assert logits.shape == (2, resolve(described).num_classes)
    assert codes <= set(LAYER_LIST_CODES)
    assert len(codes) >= 2
    assert 0 < accepted < 75
