from __future__ import annotations

import pytest
import torch
from torch import Tensor

from models.engine.monitor import SilentMonitor
from models.errors import Interrupted
from models.probes.undistillable.head_refit import fit_head, head_refit
from models.probes.undistillable.outputs import TeacherOutputs
from models.results.undistillable import HeadRefit

CLASSES, DIMENSIONS = 5, 8
#: Swaps what the head says of the classes that it does not name.
SHIFT = 2


def features(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Gaussian clouds around fixed centers, (N, D), and whose cloud, int64 (N,)."""
    centers = 2 * torch.randn(CLASSES, DIMENSIONS, generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % CLASSES
    noise = torch.randn(count, DIMENSIONS, generator=generator)
    return (centers[labels] + 0.6 * noise).double(), labels


def honest_head() -> tuple[Tensor, Tensor]:
    """A head as training on labels leaves it."""
    return fit_head(*features(400, 9), CLASSES, SilentMonitor())


def misled(logits: Tensor) -> Tensor:
    """Keep the most likely class; hand round what all others got."""
    named = logits.argmax(1)
    others = (named[:, None] + 1 + torch.arange(CLASSES - 1)) % CLASSES
    return logits.scatter(1, others, logits.gather(1, others.roll(SHIFT, 1)))


def refit(*, honest: bool, scale: float = 1.0) -> HeadRefit:
    weight, bias = honest_head()
    parts = []
    for seed in (1, 2):
        inputs, _ = features(200, seed)
        logits = scale * (inputs @ weight + bias)
        parts.append(TeacherOutputs(logits if honest else misled(logits), inputs))
    found = head_refit(parts[0], parts[1], 4.0, SilentMonitor())
    assert found is not None
    return found


def test_an_untouched_head_is_recovered() -> None:
    found = refit(honest=True)
    assert found.agreement > 0.98
    assert found.affinity_correlation > 0.95
    assert found.divergence < 0.02
    assert found.images == 200


def test_a_permuted_head_is_not() -> None:
    """The named classes are the same, so the same head is fitted; the rest of the answer betrays it."""
    honest, permuted = refit(honest=True), refit(honest=False)
    assert permuted.agreement == honest.agreement
    assert permuted.affinity_correlation < 0.5
    assert permuted.divergence > 5 * honest.divergence


def test_the_scale_of_the_answers_does_not_matter() -> None:
    """Hard labels do not determine it, and a teacher trained for longer has a larger one."""
    assert refit(honest=True, scale=3.0).affinity_correlation > 0.95
    assert refit(honest=True, scale=3.0).agreement == refit(honest=True).agreement


def test_with_more_dimensions_than_images_the_fit_is_the_same() -> None:
    inputs, labels = features(60, 1)
    wide = torch.cat([inputs, torch.zeros(60, 100, dtype=torch.float64)], dim=1)
    narrow_weight, narrow_bias = fit_head(inputs, labels, CLASSES, SilentMonitor())
    weight, bias = fit_head(wide, labels, CLASSES, SilentMonitor())
    torch.testing.assert_close(weight[:DIMENSIONS], narrow_weight, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(bias, narrow_bias, rtol=1e-3, atol=1e-3)
    assert float(weight[DIMENSIONS:].abs().max()) < 1e-6


def test_too_few_classes_give_no_number() -> None:
    outputs = TeacherOutputs(torch.eye(CLASSES).double()[:3].repeat(10, 1), torch.rand(30, 4).double())
    assert head_refit(outputs, outputs, 4.0, SilentMonitor()) is None


def test_the_fit_stops_when_asked() -> None:
    class Stopping(SilentMonitor):
        def should_stop(self) -> bool:
            return True

    with pytest.raises(Interrupted):
        fit_head(*features(20, 1), CLASSES, Stopping())
