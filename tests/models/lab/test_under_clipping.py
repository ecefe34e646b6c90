"""The attacker who trains under the bounds that a defender would take."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cross_entropy

from models.architectures.clipped_norm import ClippedBatchNorm2d
from models.architectures.staged import StageOutputs
from models.attacks.teacher import TermBatch
from models.lab import fine_tuned
from models.lab.under_clipping import UnderClipping
from models.recipes.lab import UnderClippingRecipe
from tests.models.lab.room import BRIEF, make, recipe

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


def test_the_bounded_network_learns_only_with_the_term(teacher):
    """Plain training leaves it behind, on the same images for as long."""
    after = {}
    for attacked in (True, False):
        term = UnderClipping(teacher, replace(RECIPE, quantile=0.55), seed=0)
        network = copy.deepcopy(teacher.network).train()
        batch = batch_of(network)
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        bounded = term.bounded(network)
        for _ in range(30):
            loss = cross_entropy(network(batch.x[:4]).float(), batch.labels)
            if attacked:
                loss = loss + term(network, batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            after[attacked] = [
                cross_entropy(each(batch.x[:4]).float(), batch.labels).item() for each in (network, bounded)
            ]
    (plain, clipped), (plain_alone, clipped_alone) = after[True], after[False]
    assert max(plain, plain_alone) < 0.1
    assert clipped < 0.5 * clipped_alone


def test_every_epoch_has_new_bounds(monkeypatch):
    made = []

    class Kept(UnderClipping):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            made.append(self.ceilings)

    monkeypatch.setattr(fine_tuned, "UnderClipping", Kept)
    make(recipe(kind="under_clipping", clipping=RECIPE))
    first, second = made
    assert all(not first[name].equal(second[name]) for name in first)


def test_at_weight_zero_nothing_is_bounded_and_the_fine_tuning_is_the_same(monkeypatch):
    """The control of an attack whose network is fine-tuned, too: what the bounds' share of it is."""
    plain = make(recipe(kind="under_clipping", clipping=replace(RECIPE, weight=0.0)))
    bounded = make(recipe(kind="under_clipping", clipping=replace(RECIPE, weight=1e-30)))
    assert "clipped_loss" in bounded.curve[-1].values
    assert "clipped_loss" not in plain.curve[-1].values
    first, other = (made.curve[0].values for made in (plain, bounded))
    assert first["loss"] == pytest.approx(other["label_loss"])  # same start, same batch
