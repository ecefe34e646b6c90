from dataclasses import replace

import pytest
import torch
from torch import nn

from models.lab import matched_clean
from models.lab.afterwards import prune
from models.recipes.lab import AfterRecipe
from tests.models.attacks.small import weights
from tests.models.lab.room import BRIEF, make, recipe


def test_pruning_sets_the_smallest_weights_of_each_layer_to_zero():
    network = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten(), nn.Linear(12, 5)).to(
        memory_format=torch.channels_last
    )
    before = [network[0].weight.detach().clone(), network[2].weight.detach().clone()]
    prune(network, 0.5)
    for old, layer in zip(before, (network[0], network[2]), strict=True):
        gone = layer.weight == 0
        assert int(gone.sum()) == old.numel() // 2
        assert float(old[gone].abs().max()) <= float(old[~gone].abs().min())
        assert layer.weight[~gone].equal(old[~gone])
    assert bool((network[0].bias != 0).all())


def test_a_network_is_trained_on_and_pruned_after_its_own_training():
    plain, longer, pruned = (
        make(replace(BRIEF, after=after)).teacher.network
        for after in (AfterRecipe(), AfterRecipe(epochs=1), AfterRecipe(pruned=0.4))
    )
    assert not weights(longer).equal(weights(plain))
    changed = weights(pruned) != weights(plain)
    assert bool((weights(pruned)[changed] == 0).all())
    assert 0.3 < float(changed.float().mean()) < 0.45


@pytest.mark.parametrize("given", [False, True])
def test_what_an_attacker_fine_tuned_is_pruned_once_as_the_finished_network(given):
    wanted = recipe(kind="cheat_kd")
    before = make(wanted)
    after = replace(wanted, after=AfterRecipe(pruned=0.4))
    twin = make(matched_clean(after))
    made = make(after, clean=twin.teacher) if given else make(after)
    assert weights(made.clean.network).equal(weights(before.clean.network))
    assert not weights(twin.teacher.network).equal(weights(before.clean.network))
    prune(before.teacher.network, 0.4)
    assert weights(made.teacher.network).equal(weights(before.teacher.network))
