"""The attacker who trains under the bounds that a defender would take."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cross_entropy

from models.architectures.clipped_norm import ClippedBatchNorm2d
from models.architectures.staged import StageOutputs
from models.attacks.teacher import TermBatch
from models.lab.under_clipping import UnderClipping
from models.recipes.lab import UnderClippingRecipe
from tests.models.lab.room import BRIEF, make

RECIPE = UnderClippingRecipe(quantile=0.7, images=64, weight=2.0)


@pytest.fixture(scope="module")
def teacher():
    return make(replace(BRIEF, epochs=2)).teacher


def batch_of(network):
    x = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    outputs = StageOutputs(torch.zeros(6, 3), (), torch.zeros(6, 4))
    return TermBatch(x, outputs, torch.tensor([0, 1, 2, 0]))


def test_the_term_is_the_bounded_networks_cross_entropy_on_the_labelled_images(teacher):
    term, batch = UnderClipping(teacher, RECIPE, seed=0), batch_of(teacher.network)
    bounded = term.bounded(teacher.network)
    expected = 2.0 * cross_entropy(bounded(batch.x[:4]), batch.labels)
    assert term(teacher.network, batch).item() == pytest.approx(expected.item())
    assert not torch.allclose(bounded(batch.x), teacher.network(batch.x))
    assert term.extra_images(0) is None


def test_weights_and_statistics_are_shared_and_the_network_keeps_its_norms(teacher):
    network = teacher.network
    term = UnderClipping(teacher, RECIPE, seed=0)
    bounded = term.bounded(network)
    shared = {tensor.data_ptr() for tensor in (*network.parameters(), *network.buffers())}
    assert {tensor.data_ptr() for tensor in bounded.parameters()} < shared
    norms = [module for module in bounded.modules() if isinstance(module, ClippedBatchNorm2d)]
    assert norms
    assert all(norm.running_mean.data_ptr() in shared for norm in norms)
    assert all(norm.ceiling.isfinite().all() for norm in norms)
    assert not any(isinstance(module, ClippedBatchNorm2d) for module in network.modules())
    network.zero_grad()
    term(network, batch_of(network)).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert term.bounded(network) is bounded


def test_a_training_run_is_learned_under_bounds_too(teacher):
    """On images that a bound at the median turns upside down, only the term teaches the bounded network."""
    tight = replace(RECIPE, quantile=0.55)
    term = UnderClipping(teacher, tight, seed=0)
    network = make(replace(BRIEF, epochs=2)).teacher.network.train()
    batch = batch_of(network)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    losses = []
    for _ in range(30):
        loss = term(network, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]
