"""N3: fit the last linear layer anew to the frozen features, and see how far the teacher's own lies from it.

A nasty teacher's features stay normal (Ma et al., ICLR 2021, section 4.4, t-SNE); its last layer is what
misleads. A head fitted to the same features and to nothing but the *named* classes knows nothing of that.

The named classes are the teacher's own: given labels may be in another order, and on a teacher worth asking
they hardly differ. On separable features hard labels do not determine the head's scale, only its direction:
the fit is regularized, and its answers are then brought to the spread of the teacher's, so that the
divergence compares shapes (departure from algorithms.md 6.4, which is silent about scale).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from models.distillation.losses import batch_divergence
from models.engine.monitor import Monitor, raise_if_stopped
from models.probes.undistillable.output_statistics import (
    FEWEST_CLASSES,
    affinity,
    frequent_classes,
    off_diagonal,
)
from models.probes.undistillable.outputs import TeacherOutputs, spearman
from models.results.undistillable import HeadRefit

#: Ridge penalty on weights that act on features of root mean square length 1.
RIDGE = 1e-3
_ROUNDS, _STEPS_PER_ROUND = 10, 20


def head_refit(
    fitted: TeacherOutputs, measured: TeacherOutputs, temperature: float, monitor: Monitor
) -> HeadRefit | None:
    """Refit on some images and compare on others.

    Args:
        fitted: Of the images that the new head is fitted to.
        measured: Of other images.
        temperature: At which the answers are compared.
        monitor: Asked between rounds of the fit.

    Returns:
        None if fewer than ``FEWEST_CLASSES`` classes are named often enough among the measured images.

    Raises:
        Interrupted: The monitor asked to stop.
    """
    original = measured.logits
    named = original.argmax(1)
    classes = frequent_classes(named, original.shape[1])
    if len(classes) < FEWEST_CLASSES:
        return None
    weight, bias = fit_head(fitted.features, fitted.logits.argmax(1), original.shape[1], monitor)
    refitted = measured.features @ weight + bias
    refitted *= spread(original) / spread(refitted)
    affinities = [
        off_diagonal(affinity(logits, named, classes, temperature)) for logits in (refitted, original)
    ]
    return HeadRefit(
        temperature=temperature,
        divergence=float(batch_divergence(refitted, original, temperature)),
        affinity_correlation=spearman(*affinities),
        agreement=float((refitted.argmax(1) == named).double().mean()),
        images=len(original),
    )


def fit_head(features: Tensor, labels: Tensor, num_classes: int, monitor: Monitor) -> tuple[Tensor, Tensor]:
    """Fit a linear layer by cross-entropy with a ridge penalty, from zero, in full batches.

    Args:
        features: (N, D), float64.
        labels: int64 (N,).
        num_classes: K.
        monitor: Asked between rounds.

    Returns:
        Weight (D, K) and bias (K,).
    """
    length = float(features.square().sum(1).mean().sqrt()) or 1.0
    # The optimum lies in the span of the features: with more dimensions than images, search there.
    wide = features.shape[1] > len(features)
    basis = torch.linalg.qr(features.T).Q if wide else torch.eye(features.shape[1], dtype=features.dtype)
    inputs = features @ basis / length
    weight = torch.zeros(inputs.shape[1], num_classes, dtype=features.dtype, requires_grad=True)
    bias = torch.zeros(num_classes, dtype=features.dtype, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weight, bias], max_iter=_STEPS_PER_ROUND, history_size=5, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = cross_entropy(inputs @ weight + bias, labels) + RIDGE / 2 * weight.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    for done in range(_ROUNDS):
        raise_if_stopped(monitor)
        optimizer.step(loss)  # type: ignore[no-untyped-call]
        monitor.progress(done + 1, _ROUNDS)
    return (basis @ weight.detach()) / length, bias.detach()


def spread(logits: Tensor) -> Tensor:
    """Return how far answers lie from their own mean, as a root of mean squares; a scalar, never zero.

    Args:
        logits: (N, K).
    """
    return (logits - logits.mean(1, keepdim=True)).square().mean().sqrt().clamp_min(1e-12)
