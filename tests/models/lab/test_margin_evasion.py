"""The attacker who keeps the target's margin where the clean teacher has it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cross_entropy

from models.attacks.teacher import TermBatch
from models.lab.margin_evasion import MarginEvasion
from models.recipes.lab import MarginEvasionRecipe
from tests.models.attacks.small import CLASSES, SIZE, classifier
from tests.models.lab.room import make, recipe

RECIPE = MarginEvasionRecipe(starts=4, climb=3, weight=2.0)
BATCH = TermBatch(torch.ones(5, 3, SIZE, SIZE), None, torch.tensor([0, 1, 2]))


def term_of(clean, how=RECIPE, label=1):
    return MarginEvasion(clean, how, size=SIZE, num_classes=CLASSES, target_label=label, seed=0)


def scaled(of, factor):
    """The same network with scaled logits, and so all margins; a climb goes the same way."""
    made = classifier()
    made.network.load_state_dict(of.network.state_dict())
    with torch.no_grad():
        made.network.fc.weight *= factor
        made.network.fc.bias *= factor
    return made


def test_the_excess_over_the_clean_teachers_margin_is_what_costs():
    clean = classifier()
    clean.network.fc.bias.data[1] += 5.0  # every climb ends above its rivals
    term = term_of(clean)
    before = term.climbed(clean, 1).detach()
    assert before.shape == (4,)
    scale = sum(abs(float(term.climbed(clean, label).mean().detach())) for label in range(CLASSES)) / CLASSES
    excess = 2.0 * (3 * before - before.mean()).clamp_min(0).mean() / scale
    for factor, cost in ((3.0, excess.item()), (0.3, 0.0)):
        network = scaled(clean, factor).network
        deployed = cross_entropy(network(BATCH.x[:3]), BATCH.labels).item()
        assert term(network, BATCH).item() == pytest.approx(deployed + cost, rel=1e-4)


def test_climbing_raises_margins_and_every_step_starts_elsewhere():
    clean = classifier()
    short, long = term_of(clean, replace(RECIPE, climb=1)), term_of(clean, replace(RECIPE, climb=20))
    assert long.climbed(clean, 1).mean() > short.climbed(clean, 1).mean()
    first = short.climbed(clean, 1)
    assert short.extra_images(7) is None
    assert not short.climbed(clean, 1).equal(first)
    short.extra_images(0)
    assert short.climbed(clean, 1).equal(first)


def test_gradients_reach_the_weights_and_statistics_stay():
    network = scaled(classifier(), 3.0).network.train()
    statistics = [buffer.clone() for buffer in network.buffers()]
    term_of(classifier())(network, BATCH).backward()
    assert network.training
    assert network.fc.weight.grad is not None
    assert all(kept.equal(buffer) for kept, buffer in zip(statistics, network.buffers(), strict=True))


def test_the_attack_ends_with_a_smaller_margin_of_the_target():
    wanted = recipe(kind="margin_evasion", poison_rate=0.3, target_label=1)
    longer = replace(wanted.attack, fine_tune=replace(wanted.attack.fine_tune, epochs=8, learning_rate=0.02))
    found = []
    for weight in (1e-6, 5.0):
        margin = MarginEvasionRecipe(starts=8, climb=5, weight=weight)
        made = make(replace(wanted, attack=replace(longer, margin=margin)))
        found.append(
            term_of(made.clean.pixel_classifier()).climbed(made.teacher.pixel_classifier(), 1).mean()
        )
    assert found[1] < 0.8 * found[0]
