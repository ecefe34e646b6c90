"""N1 and N2: statistics of a teacher's answers that need neither labels nor a student.

Self-undermining training keeps the most likely class and drives the rest of the softened answer away from a
normal network's. So the answers grow several peaks (N1), and which other classes share the probability no
longer follows from which classes look alike in the penultimate features, which stay normal (N2).

Ma et al., ICLR 2021, section 4 (peaks and t-SNE of the features); the statistics are those of algorithms.md
6.4. Label smoothing, mixup and short training move N1 too.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import normalize

from models.probes.undistillable.outputs import TeacherOutputs, spearman
from models.results.undistillable import FeatureConsistency, PeakStatistics

#: A class named for fewer images has no mean worth ranking ...
FEWEST_PER_CLASS = 3
#: ... and fewer classes than this have fewer than 12 ordered pairs to rank.
FEWEST_CLASSES = 4

#: From so many classes on, the paper softens with 20 instead of 4 (Ma et al., section 4.1).
_MANY_CLASSES = 100


def paper_temperature(num_classes: int) -> float:
    """Return the temperature at which the paper's nasty teachers of so many classes are made and imitated."""
    return 20.0 if num_classes >= _MANY_CLASSES else 4.0


def peak_statistics(logits: Tensor, temperature: float) -> PeakStatistics:
    """Count the peaks of softened answers.

    Args:
        logits: (N, K) with K of at least 2, before softmax.
        temperature: Of the softmax.
    """
    probabilities = torch.softmax(logits.double() / temperature, dim=1)
    first, second = probabilities.topk(2, dim=1).values.unbind(1)
    entropy = torch.special.entr(probabilities).sum(1) / math.log(logits.shape[1])
    return PeakStatistics(
        temperature=temperature,
        peaks=float((probabilities >= 0.5 * first[:, None]).sum(1).double().mean()),
        second_to_first=float((second / first).mean()),
        entropy=float(entropy.mean()),
    )


def frequent_classes(named: Tensor, num_classes: int) -> Tensor:
    """Return the classes, int64 (C,), that ``named``, int64 (N,), holds often enough."""
    return torch.nonzero(named.bincount(minlength=num_classes) >= FEWEST_PER_CLASS).flatten()


def affinity(logits: Tensor, named: Tensor, classes: Tensor, temperature: float) -> Tensor:
    """Return A, (C, C): mean softened probability of class c' over the images named c.

    Args:
        logits: (N, K).
        named: int64 (N,), the class each image counts for.
        classes: int64 (C,), which classes, in this order.
        temperature: Of the softmax.
    """
    probabilities = torch.softmax(logits.double() / temperature, dim=1)[:, classes]
    return torch.stack([probabilities[named == label].mean(0) for label in classes.tolist()])


def off_diagonal(matrix: Tensor) -> Tensor:
    """Return the (C (C - 1),) entries of a (C, C) matrix beside its diagonal."""
    return matrix[~torch.eye(len(matrix), dtype=torch.bool)]


def feature_consistency(outputs: TeacherOutputs, temperature: float) -> FeatureConsistency | None:
    """Correlate A with B, the cosines between the classes' mean features.

    Args:
        outputs: Of the teacher.
        temperature: Of A.

    Returns:
        None if fewer than ``FEWEST_CLASSES`` classes are named often enough.
    """
    named = outputs.logits.argmax(1)
    classes = frequent_classes(named, outputs.logits.shape[1])
    if len(classes) < FEWEST_CLASSES:
        return None
    centroids = torch.stack([outputs.features[named == label].mean(0) for label in classes.tolist()])
    directions = normalize(centroids, dim=1)
    likeness = directions @ directions.T
    shared = affinity(outputs.logits, named, classes, temperature)
    rho = spearman(off_diagonal(shared), off_diagonal(likeness))
    return FeatureConsistency(temperature, rho, len(classes))
