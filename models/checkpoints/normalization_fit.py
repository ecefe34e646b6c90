"""Which normalization a network was trained with, read from its first BatchNorm. NumPy only, no image.

The first convolution is linear, so the mean and variance of each of its channels over natural images follow
from the images' second moments alone. Training wrote the same two numbers into the BatchNorm behind it. The
normalization under which both agree is the one the network was trained with:

    mean_c = w_c . mu + b_c,   var_c = w_c' S w_c

with w_c the kernel as a vector, and mu, S the moments of normalized h x w neighborhoods: equal means and
deviations per channel, correlation .91 between channels and exp(-d / 10) over d pixels, as CIFAR-10's test
images have it within .03 up to 6 pixels. The distance is the symmetric Kullback-Leibler divergence between
both normal distributions, its median over channels, so that dead ones do not count.

On five public checkpoints (docs/results.md) the right normalization has .12 to .21 and a grossly wrong one
2.4 to 15 (.5 for mean and deviation .5 against plain pixels: too near to be called wrong); statistics as
near as CIFAR-10's and ImageNet's are not told apart. Source: ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from models.checkpoints.tensor_spec import Array
from models.recipes.architecture import Normalization

IDENTITY = Normalization()
#: What people write into ``transforms.Normalize``, by a name for sentences.
COMMON: Mapping[str, Normalization] = {
    "pixels in [0, 1] as they are": IDENTITY,
    "ImageNet's statistics": Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "CIFAR-10's statistics": Normalization((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "CIFAR-10's statistics of single images": Normalization(
        (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
    ),
    "mean 0.5 and deviation 0.5": Normalization((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "pixels in [0, 255]": Normalization((0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255)),
}

#: A normalization fits up to here.
FITS = 0.3
#: It is wrong from here on, if another fits and is nearer by the factor.
WRONG = 1.0
FACTOR = 4.0

_MEANS = np.array([0.48, 0.47, 0.44])
_DEVIATION = 0.25
_CHANNEL_CORRELATION = 0.91
_CORRELATION_PIXELS = 10.0
#: A layer list may ask for 40,000 kernels of 31 x 31, whose variances take minutes.
_MOST_CHANNELS = 512


@dataclass(frozen=True, slots=True)
class NormalizationFit:
    """How well a normalization and the best of the common ones fit; distances, 0 is perfect."""

    distance: float
    best_name: str
    best: Normalization
    best_distance: float
    also: tuple[str, ...]
    """Others that fit, and hardly worse than the best."""

    @property
    def wrong(self) -> bool:
        """Whether the weights speak clearly for another normalization."""
        return self.best_distance <= FITS and self.distance >= max(WRONG, FACTOR * self.best_distance)


def fit_normalization(tensors: Mapping[str, Array], given: Normalization) -> NormalizationFit | None:
    """Compare ``given`` and the common normalizations with a network's first BatchNorm.

    Args:
        tensors: Weights in the order of the architecture, by canonical name.
        given: What would be used.

    Returns:
        None if there is nothing to compare: no BatchNorm behind the first convolution, one that was never
        trained, or one of which ``tensors`` has only a part.
    """
    found = _first_layer(tensors)
    if found is None:
        return None
    covariance = _covariance(*found[0].shape[-2:])
    distances = {name: _distance(found, covariance, normalization) for name, normalization in COMMON.items()}
    best_name = min(distances, key=lambda name: distances[name])
    nearest = distances.pop(best_name)
    also = tuple(name for name, other in distances.items() if other <= min(FITS, FACTOR * nearest))
    distance = _distance(found, covariance, given)
    return NormalizationFit(distance, best_name, COMMON[best_name], nearest, also)


def _first_layer(tensors: Mapping[str, Array]) -> tuple[Array, Array, Array, Array] | None:
    """Find kernel (C, 3, h, w), bias, running mean and running variance, each (C,), as float64.

    Of many channels the first ones are enough for a median.
    """
    names = list(tensors)
    kernel = next((name for name in names if tensors[name].ndim == 4), None)
    if kernel is None or tensors[kernel].shape[1] != 3:
        return None
    channels = len(tensors[kernel])
    mean = next(
        (name for name in names if name.endswith("running_mean") and len(tensors[name]) == channels), None
    )
    if mean is None:
        return None
    variances = tensors.get(mean.replace("running_mean", "running_var"))
    if variances is None:
        return None
    bias = tensors.get(f"{kernel.removesuffix('weight')}bias", np.zeros(channels))
    parts = (tensors[kernel], bias, tensors[mean], variances)
    weight, offset, center, variance = (part[:_MOST_CHANNELS].astype(np.float64) for part in parts)
    untrained = not center.any() and bool((variance == 1).all())
    return None if untrained or not (variance > 0).any() else (weight, offset, center, variance)


def _distance(layer: tuple[Array, Array, Array, Array], covariance: Array, given: Normalization) -> float:
    weight, bias, center, variance = layer
    places = weight[0, 0].size
    flat = weight.reshape(len(weight), -1)
    means = np.repeat((_MEANS - given.mean) / given.std, places)
    scaled = flat / np.repeat(given.std, places)
    expected_mean = flat @ means + bias
    expected_variance = (scaled @ covariance * scaled).sum(1)
    live = (variance > 1e-3 * variance.max()) & (expected_variance > 0)
    if not live.any():
        return float("inf")
    gap = np.square(expected_mean - center)[live]
    here, there = expected_variance[live], variance[live]
    divergence = (here + gap) / there + (there + gap) / here - 2.0
    return float(np.median(divergence / 2.0))


def _covariance(height: int, width: int) -> Array:
    """Return (3 h w, 3 h w): of pixels in [0, 1] of a neighborhood, channel by channel."""
    places = np.stack(np.meshgrid(np.arange(height), np.arange(width), indexing="ij"), -1).reshape(-1, 2)
    distances = np.sqrt(np.square(places[:, None] - places[None]).sum(-1))
    channels = np.full((3, 3), _CHANNEL_CORRELATION) + (1 - _CHANNEL_CORRELATION) * np.eye(3)
    return _DEVIATION**2 * np.kron(channels, np.exp(-distances / _CORRELATION_PIXELS))
