import copy

import pytest
import torch
from torch import nn

from models.architectures import build
from models.architectures.clipped_norm import clip_norms
from models.distillation.abd.defense import AbdDefense
from models.distillation.inversion.batchnorm_statistics import BatchNormReader, Moments, MomentsAverage
from models.engine.frozen import frozen
from models.errors import RecipeError
from models.recipes.abd import AbdRecipe, VaccineRecipe
from models.recipes.architecture import ArchitectureSpec
from tests.models.distillation.small import SIZE, network

X = torch.randn(6, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


def trained() -> nn.Module:
    """A network whose running statistics are those of ``X``."""
    made = network()
    for norm in made.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.momentum = None
    made.train()(X)
    return made.eval()


def hooks(module: nn.Module) -> int:
    return sum(len(one._forward_pre_hooks) + len(one._forward_hooks) for one in module.modules())


def test_moments_are_of_the_input_and_not_of_the_output() -> None:  # trap 24: before the layer, not after it
    made = network().eval()
    stem = made.stem(X)  # type: ignore[operator]  # the input of the first BatchNorm of a WRN
    first = BatchNormReader(made).read(X).moments[0]
    assert torch.allclose(first.mean, stem.mean(dim=(0, 2, 3)), atol=1e-5)
    assert torch.allclose(first.variance, stem.var(dim=(0, 2, 3), correction=0), atol=1e-5)


def test_a_second_pass_does_not_change_what_the_first_read() -> None:  # trap 24
    reader = BatchNormReader(network().eval())
    reading = reader.read(X)
    before = [one.mean.clone() for one in reading.moments]
    reader.read(X * 3.0)
    reader.network(X * 5.0)
    assert all(torch.equal(a, b.mean) for a, b in zip(before, reading.moments, strict=True))
    assert not torch.equal(reading.moments[0].mean, reader.read(X * 3.0).moments[0].mean)


def test_no_hook_is_left_even_after_an_error() -> None:  # traps 25 and 26
    made = network().eval()
    reader = BatchNormReader(made)
    reader.read(X)
    with pytest.raises(RuntimeError):
        reader.read(X[:, :2])
    assert hooks(made) == 0


def test_the_vaccines_copies_carry_no_hook() -> None:  # traps 25 and 26
    made = network().eval()
    BatchNormReader(made).read(X)
    with frozen(made):
        recipe = AbdRecipe(VaccineRecipe(members=1, selection_batches=0))
        defense = AbdDefense(made, network(), recipe, seed=0, steps=4)
    assert sum(hooks(member) for member in defense.ensemble.copies) == 0
    assert hooks(copy.deepcopy(made)) == 0


def test_the_distance_is_small_for_the_images_a_network_was_trained_on() -> None:
    made = trained()
    reader = BatchNormReader(made)
    near = reader.distance(reader.read(X).moments)
    far = reader.distance(reader.read(X * 2.0 + 1.0).moments)
    # Not zero: the running variance is the unbiased one, n / (n - 1) times the biased one of the batch.
    assert near < 0.1 * far


def test_the_distance_sums_norms_of_both_moments() -> None:
    reader = BatchNormReader(network().eval())
    seen = [
        Moments(norm.running_mean + 3.0, norm.running_var + 4.0)  # type: ignore[operator]
        for norm in reader.norms
    ]
    roots = sum(norm.num_features**0.5 for norm in reader.norms)
    assert reader.distance(seen).item() == pytest.approx(7.0 * roots, rel=1e-5)


def test_features_join_all_layers() -> None:
    reader = BatchNormReader(network().eval())
    features = reader.read(X).features
    assert features.shape == (6, sum(norm.num_features for norm in reader.norms))
    assert features.dtype == torch.float32


def test_a_network_without_batchnorm_is_refused() -> None:
    spec = ArchitectureSpec("timm-vit_tiny_patch16_224", 4, 32)
    with pytest.raises(RecipeError) as refused:
        BatchNormReader(build(spec))
    assert refused.value.code == "batchnorm_missing"
    assert "ood or zskt" in refused.value.hint


def test_the_average_lets_a_batch_be_different() -> None:
    average = MomentsAverage(0.75)
    first, second = Moments(torch.zeros(2), torch.ones(2)), Moments(torch.full((2,), 4.0), torch.ones(2))
    assert average.with_batch([first])[0] is first
    average.keep([first])
    joined = average.with_batch([second])[0]
    assert torch.equal(joined.mean, torch.ones(2))
    assert torch.equal(average.kept[0].mean, torch.zeros(2))


def test_behind_a_bound_a_clipped_teachers_own_images_miss_the_statistics_it_is_asked_for() -> None:
    """The departure that the module names: the running statistics stay the intact teacher's."""
    made = trained()
    clipped = copy.deepcopy(made)
    for _, norm in clip_norms(clipped):
        norm.ceiling.fill_(0.5)
    with torch.no_grad():
        (intact, before), (bounded, after) = (
            (reader, reader.read(X).moments) for reader in map(BatchNormReader, (made, clipped))
        )
    assert torch.equal(after[0].variance, before[0].variance)
    assert after[-1].variance.sum() < 0.8 * before[-1].variance.sum()
    assert bounded.distance(after) > 2 * intact.distance(before)


class Narrow(nn.Module):
    """A convolution of two channels, its BatchNorm, a layer behind them."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.conv, self.norm, self.head = (
            nn.Conv2d(3, 2, 3),
            nn.BatchNorm2d(2, momentum=None),
            nn.Linear(2, 3),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.conv(x)).relu().mean(dim=(2, 3)))


def test_behind_the_batchnorm_no_channel_outweighs_the_others() -> None:
    """Multiplied with its statistics, it is the same network; the plain distance follows it alone."""
    made = Narrow()
    made.train()(X)
    made.eval()
    reader = BatchNormReader(made)
    before = reader.read(2 * X)
    plain, behind = reader.distance(before.moments), reader.distance_behind(before.moments)
    with torch.no_grad():
        made.conv.weight[0] *= 1e4
        made.conv.bias[0] *= 1e4
        made.norm.running_mean[0] *= 1e4
        made.norm.running_var[0] *= 1e8
    after = reader.read(2 * X)
    assert torch.allclose(after.logits, before.logits, atol=1e-3)
    assert torch.allclose(reader.distance_behind(after.moments), behind, rtol=1e-2)
    assert reader.distance(after.moments) > 1e6 * plain


def test_a_dead_layer_leaves_the_distance_its_gradient() -> None:
    """A convolution of zeros is exactly at its BatchNorm's mean, and a root has no finite slope at 0: the
    fast method ended in a loss that was not a number, on a pruned but honest network."""
    made = Narrow()
    torch.nn.init.zeros_(made.conv.weight)
    torch.nn.init.zeros_(made.conv.bias)
    x = X.clone().requires_grad_(True)
    reader = BatchNormReader(made.eval())
    moments = reader.read(x).moments
    assert torch.equal(moments[0].mean, made.norm.running_mean)
    (gradient,) = torch.autograd.grad(reader.distance_behind(moments), x)
    assert gradient.isfinite().all()


def test_images_of_training_are_nearest_behind_the_batchnorm() -> None:
    """They are not at no distance: running variances are unbiased, and of six images that shows."""
    reader = BatchNormReader(trained())
    own, other = (reader.distance_behind(reader.read(x).moments) for x in (X, 3 * X))
    assert 0 < own < 0.05 * other
