"""What the teacher answers, and the features it answers from; and how two rankings agree."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from models.architectures import PixelClassifier
from models.engine.monitor import Monitor, raise_if_stopped
from models.errors import TrainingFailed
from models.metrics.prediction import BATCH_SIZE, to_pixels


@dataclass(frozen=True, eq=False)
class TeacherOutputs:
    """Of N images, float64 on the CPU, so that every statistic of them is the same on every device."""

    logits: Tensor
    """(N, K), before softmax."""
    features: Tensor
    """(N, D), the last linear layer's input."""

    def part(self, chosen: slice) -> TeacherOutputs:
        """Return the outputs of some images."""
        return TeacherOutputs(self.logits[chosen], self.features[chosen])


def teacher_outputs(classifier: PixelClassifier, images: Tensor, monitor: Monitor) -> TeacherOutputs:
    """Run the teacher over images.

    Args:
        classifier: In evaluation mode.
        images: uint8 (N, 3, S, S), at least one.
        monitor: Asked before every batch.

    Raises:
        TrainingFailed: A logit or feature is not finite (code ``non_finite``).
        Interrupted: The monitor asked to stop.
    """
    logits, features = [], []
    with torch.inference_mode():
        for start in range(0, len(images), BATCH_SIZE):
            raise_if_stopped(monitor)
            x = classifier.normalize(to_pixels(images[start : start + BATCH_SIZE], classifier))
            outputs = classifier.network.forward_stages(x)
            logits.append(outputs.logits.double().cpu())
            features.append(outputs.pooled.double().cpu())
            monitor.progress(min(start + BATCH_SIZE, len(images)), len(images))
    # Clones: tensors made in inference mode can take part in no gradient, and a head is refitted to these.
    found = TeacherOutputs(torch.cat(logits).clone(), torch.cat(features).clone())
    if not bool(found.logits.isfinite().all() and found.features.isfinite().all()):
        raise TrainingFailed("The network's answers are not finite.", code="non_finite")
    return found


def spearman(first: Tensor, second: Tensor) -> float:
    """Return Spearman's rank correlation of two (N,) tensors; ties share their mean rank.

    Zero if one of them is constant: then there is no order to agree with.
    """
    ranks = torch.stack([_ranks(first), _ranks(second)])
    centered = ranks - ranks.mean(1, keepdim=True)
    norm = float(centered.square().sum(1).prod().sqrt())
    return float((centered[0] * centered[1]).sum()) / norm if norm else 0.0


def _ranks(values: Tensor) -> Tensor:
    place: Tensor
    counts: Tensor
    _, place, counts = values.unique(return_inverse=True, return_counts=True)  # type: ignore[no-untyped-call]
    ends = counts.cumsum(0).double()
    return (ends - (counts.double() - 1) / 2)[place]
