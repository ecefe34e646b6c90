from __future__ import annotations

import pytest
import torch

from models.architectures import PixelClassifier
from models.engine.monitor import SilentMonitor
from models.errors import Interrupted, RecipeError
from models.probes.shuffle_sensitivity import shuffle_sensitivity
from models.results.audit import ProbeResult
from tests.models.probes.planted import planted_teacher
from tests.models.probes.small_network import NUM_CLASSES, noise_images, small_classifier


def probe(classifier: PixelClassifier, seed: int = 0, monitor=None) -> ProbeResult:
    return shuffle_sensitivity(
        classifier,
        noise_images(120),
        "clean images",
        num_classes=NUM_CLASSES,
        copies=3,
        generator=torch.Generator().manual_seed(seed),
        monitor=monitor or SilentMonitor(),
    )


def test_network_that_shuffling_cannot_change_keeps_every_class() -> None:
    """Input channels with equal weights can be permuted without effect."""
    classifier = small_classifier()
    for layer in classifier.network.stage_convolutions(2):
        layer.weight.copy_(layer.weight.mean(dim=1, keepdim=True).expand_as(layer.weight))
    result = probe(classifier)
    assert "keep the class of 100.0%" in result.summary


def test_untrained_network_is_not_left_as_it_was_by_shuffling() -> None:
    result = probe(small_classifier())
    assert "keep the class of 100.0%" not in result.summary
    assert result.statistic is not None
    assert 0 <= result.statistic <= 0.1  # Cantelli: no distribution has more below three deviations


def test_copy_that_names_one_class_for_everything_agrees_by_chance_only() -> None:
    classifier = small_classifier()
    head = [module for module in classifier.modules() if isinstance(module, torch.nn.Linear)][-1]
    head.bias[2] += 1e3
    result = probe(classifier)
    assert (result.target_label, result.class_scores) == (None, ())


def test_same_seed_gives_the_same_answer() -> None:
    first, second, other = (probe(small_classifier(), seed) for seed in (4, 4, 5))
    assert first.summary == second.summary
    assert first.summary != other.summary


def test_teacher_keeps_its_weights() -> None:
    classifier = small_classifier()
    before = {name: value.clone() for name, value in classifier.state_dict().items()}
    probe(classifier)
    assert all(torch.equal(value, before[name]) for name, value in classifier.state_dict().items())


def test_it_has_no_mark() -> None:
    result = probe(small_classifier())
    assert not result.conspicuous
    assert "compared with nothing yet" in result.summary


def test_network_without_stages_is_refused() -> None:
    with pytest.raises(RecipeError) as caught:
        probe(planted_teacher(strength=0.0).pixel_classifier())
    assert caught.value.code == "probe_not_applicable"


def test_stops_when_asked() -> None:
    class Stopping(SilentMonitor):
        def should_stop(self) -> bool:
            return True

    with pytest.raises(Interrupted):
        probe(small_classifier(), monitor=Stopping())
