from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from models.engine.monitor import SilentMonitor
from models.errors import Interrupted, TrainingFailed
from models.probes import bounded_batches, mmbd
from models.probes.mmbd import margin_statistics, maximal_margins, score_margins
from models.results.audit import ProbeResult
from tests.models.probes.planted import NUM_CLASSES, SIZE, CountingNetwork, QuadrantNetwork


def probe(network: nn.Module, seed: int = 0) -> ProbeResult:
    return margin_statistics(
        network,
        NUM_CLASSES,
        SIZE,
        restarts=4,
        steps=30,
        generator=torch.Generator().manual_seed(seed),
        monitor=SilentMonitor(),
    )


def test_planted_target_is_named_and_conspicuous() -> None:
    result = probe(QuadrantNetwork(strength=40.0, target_label=2))
    assert result.target_label == 2
    assert result.conspicuous


def test_symmetric_network_is_not_conspicuous() -> None:
    result = probe(QuadrantNetwork(strength=0.0))
    assert not result.conspicuous


def test_margin_reaches_the_value_known_in_closed_form() -> None:
    """The best input is one white quadrant on black: a margin of exactly 10."""
    margins = maximal_margins(
        QuadrantNetwork(strength=0.0),
        NUM_CLASSES,
        SIZE,
        restarts=4,
        steps=60,
        generator=torch.Generator().manual_seed(0),
        monitor=SilentMonitor(),
    )
    assert margins.tolist() == pytest.approx([10.0] * 4, rel=0.05)


@pytest.mark.parametrize("scale", [1e-25, 1e20, 1e30])
def test_logits_of_any_size_climb_alike(scale: float) -> None:
    """Squares of gradients overflow and vanish: times 1e20 nothing climbed."""

    class Scaled(QuadrantNetwork):
        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            return scale * super().forward(pixels)

    plain, scaled = probe(QuadrantNetwork(strength=40.0)), probe(Scaled(strength=40.0))
    assert scaled.target_label == 2
    assert scaled.statistic == pytest.approx(plain.statistic, rel=1e-3)
    assert scaled.summary == plain.summary


def test_layers_of_huge_activations_behind_which_gradients_vanish_hide_nothing() -> None:
    """They change no answer, but the gradient of a tiny margin was zero in front of them."""

    class Inflated(QuadrantNetwork):
        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            return ((1e30 * super().forward(pixels)) * 1e-25) * 1e-25

    plain, inflated = probe(QuadrantNetwork(strength=20.0)), probe(Inflated(strength=20.0))
    assert inflated.target_label == 2
    assert inflated.statistic == pytest.approx(plain.statistic, rel=1e-3)


def test_answers_that_become_no_numbers_on_the_way_up_are_no_margins() -> None:
    class Breaks(QuadrantNetwork):
        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            logits = super().forward(pixels)
            return torch.where(logits.amax(1, keepdim=True) > 8, torch.nan, logits)

    with pytest.raises(TrainingFailed) as caught:
        probe(Breaks(strength=40.0))
    assert caught.value.code == "non_finite"


def test_of_two_classes_neither_lies_above_the_median() -> None:
    class Halves(QuadrantNetwork):
        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            return super().forward(pixels)[:, :2]

    found = margin_statistics(
        Halves(strength=0.0),
        2,
        SIZE,
        restarts=2,
        steps=4,
        generator=torch.Generator().manual_seed(0),
        monitor=SilentMonitor(),
    )
    assert "median" not in found.summary
    assert found.p_value is None, "a distribution cannot be fitted to one other class"


def test_few_classes_at_a_time_reach_what_all_at_once_do(monkeypatch) -> None:
    """All at once, the starts of 1,000 classes at budget thorough alone took gigabytes."""
    network = CountingNetwork(strength=40.0)
    whole = probe(network).class_scores
    assert max(network.batches) == 4 * NUM_CLASSES
    network.batches.clear()
    monkeypatch.setattr(mmbd, "PIXELS", 3 * 4 * SIZE * SIZE)
    parts = probe(network).class_scores
    assert max(network.batches) == 3 * 4
    assert parts == pytest.approx(whole, rel=1e-6)


def test_large_images_climb_in_small_batches(monkeypatch) -> None:
    monkeypatch.setattr(bounded_batches, "PIXELS", 5 * SIZE * SIZE)
    network = CountingNetwork(strength=40.0)
    probe(network)
    assert max(network.batches) == 5


def test_same_seed_gives_the_same_margins() -> None:
    network = QuadrantNetwork(strength=40.0)
    assert probe(network, seed=3).class_scores == probe(network, seed=3).class_scores


def test_inputs_stay_pixels() -> None:
    """Margins outside of the cube of images would be meaningless."""
    seen: list[tuple[float, float]] = []

    class Watching(QuadrantNetwork):
        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            seen.append((pixels.min().item(), pixels.max().item()))
            return super().forward(pixels)

    probe(Watching(strength=40.0))
    assert min(low for low, _ in seen) >= 0.0
    assert max(high for _, high in seen) <= 1.0


def test_p_value_says_that_it_is_not_calibrated() -> None:
    result = probe(QuadrantNetwork(strength=0.0))
    assert result.calibration_references == 0
    assert "uncalibrated" in result.summary


def test_stops_when_asked() -> None:
    class Stopping(SilentMonitor):
        def should_stop(self) -> bool:
            return True

    with pytest.raises(Interrupted):
        margin_statistics(
            QuadrantNetwork(strength=0.0),
            NUM_CLASSES,
            SIZE,
            restarts=2,
            steps=5,
            generator=torch.Generator(),
            monitor=Stopping(),
        )


def test_ratio_is_best_to_second() -> None:
    scores = score_margins(torch.tensor([3.0, 12.0, 4.0, 6.0]))
    assert scores.order[:2] == (1, 3)
    assert scores.log_ratio == pytest.approx(math.log(2.0))


def test_ratio_stays_finite_when_no_other_class_has_a_positive_margin() -> None:
    scores = score_margins(torch.tensor([-3.0, 12.0, -4.0, -6.0]))
    assert scores.log_ratio == pytest.approx(math.log(1000.0))


def test_gamma_p_value_grows_as_the_largest_margin_comes_back_to_the_others() -> None:
    others = [80.0, 90.0, 100.0, 110.0, 120.0, 95.0, 105.0, 85.0, 115.0]
    far, near = score_margins(torch.tensor([*others, 400.0])), score_margins(torch.tensor([*others, 122.0]))
    assert far.p_value < 1e-6
    assert near.p_value > 0.3
