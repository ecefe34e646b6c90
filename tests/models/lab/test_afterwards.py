from dataclasses import replace

import torch
from torch import nn

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


def test_an_attacker_starts_from_the_twin_as_it_was_left():
    wanted = replace(recipe(kind="cheat_kd"), after=AfterRecipe(pruned=0.4))
    made = make(wanted)
    twin = make(replace(wanted, attack=BRIEF.attack))
    assert weights(made.clean.network).equal(weights(twin.teacher.network))
