from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from models.architectures import PixelClassifier, build
from models.data.patches import make_patches
from models.data.photographs import builtin_photographs
from models.distillation.inversion.batchnorm_statistics import BatchNormReader
from models.engine.frozen import frozen
from models.engine.monitor import Monitor, SilentMonitor
from models.errors import Interrupted, RecipeError
from models.probes import inverted_images
from models.probes.inverted_images import COUNT, STEPS, invert_images
from models.probes.portion import WHOLE
from models.recipes.architecture import ArchitectureSpec, Normalization
from tests.models.probes.inversion import shorten
from tests.models.probes.planted import planted_teacher

SIZE, CLASSES, FEW = 16, 4, 6


@pytest.fixture(scope="module")
def classifier() -> PixelClassifier:
    """A network whose BatchNorms remember dark noise, which no patch of a photograph resembles."""
    torch.manual_seed(0)
    network = build(ArchitectureSpec("wrn-10-1", CLASSES, SIZE))
    made = PixelClassifier(network, Normalization())
    network.train()
    with torch.no_grad():
        for _ in range(60):
            made(0.2 * torch.rand(32, 3, SIZE, SIZE))
    network.eval()
    return made


def invert(classifier: nn.Module, *, monitor: Monitor | None = None, seed: int = 0) -> torch.Tensor:
    with frozen(classifier):
        return invert_images(
            classifier,
            num_classes=CLASSES,
            size=SIZE,
            style="photo",
            seed=seed,
            monitor=monitor or SilentMonitor(),
        )


@pytest.fixture
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    shorten(monkeypatch, FEW)


@pytest.fixture(scope="module")
def images(classifier: PixelClassifier) -> torch.Tensor:
    return invert(classifier)


def distance(classifier: PixelClassifier, images: torch.Tensor) -> float:
    reader = BatchNormReader(classifier)
    with torch.no_grad():
        return float(reader.distance(reader.read(images.float() / 255).moments))


def patches() -> torch.Tensor:
    return make_patches(builtin_photographs(), count=COUNT, size=SIZE, seed=0, style="photo")


def test_layers_see_what_they_saw_in_training(classifier: PixelClassifier, images: torch.Tensor) -> None:
    assert images.dtype == torch.uint8
    assert images.shape == (COUNT, 3, SIZE, SIZE)
    assert distance(classifier, images) < 0.2 * distance(classifier, patches())


def test_answers_are_spread_over_the_classes_in_both_halves(
    classifier: PixelClassifier, images: torch.Tensor
) -> None:
    """One half is searched on and the other measured on: neither may lack a class that is asked about."""
    order = inverted_images._spread(CLASSES, COUNT, seed=3)
    for half in order.split(COUNT // 2):
        assert half.bincount(minlength=CLASSES).tolist() == [COUNT // 2 // CLASSES] * CLASSES
    wanted = inverted_images._spread(
        CLASSES, COUNT, inverted_images.derive_seed(0, "classes of inverted images")
    )
    with torch.no_grad():
        before, after = (cross_entropy(classifier(x.float() / 255), wanted) for x in (patches(), images))
    assert after < 0.6 * before


def test_of_more_classes_than_images_some_have_none() -> None:
    assert len(set(inverted_images._spread(1_000, COUNT, seed=0).tolist())) == COUNT


@pytest.mark.usefixtures("few_steps")
def test_the_seed_decides(classifier: PixelClassifier) -> None:
    once = invert(classifier)
    assert not torch.equal(once, patches())
    assert torch.equal(invert(classifier), once)
    assert not torch.equal(invert(classifier, seed=1), once)


@pytest.mark.usefixtures("few_steps")
def test_large_images_are_moved_a_few_at_a_time(
    classifier: PixelClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    hook = classifier.register_forward_pre_hook(lambda _, arguments: seen.append(len(arguments[0])))
    monkeypatch.setattr(inverted_images, "images_per_batch", lambda _: 5)
    try:
        assert len(invert(classifier)) == COUNT
    finally:
        hook.remove()
    measured, *moved = seen
    assert measured == COUNT
    assert moved == [20] * (FEW * COUNT // 20)


def test_whoever_waits_may_stop_it_and_sees_how_far_it_is(classifier: PixelClassifier) -> None:
    class Stops(SilentMonitor):
        def __init__(self) -> None:
            self.told: list[tuple[int, int]] = []

        def progress(self, done: int, total: int, **scalars: float) -> None:
            self.told.append((done, total))

        def should_stop(self) -> bool:
            return len(self.told) == 3

    monitor = Stops()
    with pytest.raises(Interrupted):
        invert(classifier, monitor=monitor)
    assert monitor.told == [(round(step * WHOLE / STEPS), WHOLE) for step in (1, 2, 3)]


@pytest.mark.usefixtures("few_steps")
@pytest.mark.parametrize("factor", [1e-12, 1e20])
def test_a_last_layer_of_any_size_makes_the_same_images(classifier: PixelClassifier, factor: float) -> None:
    """It changes no answer; without a measure for it one term of the loss would stand alone."""

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.classifier = classifier

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            return self.classifier(pixels) * factor

    apart = (invert(Scaled()).int() - invert(classifier).int()).abs()
    assert (apart <= 4).double().mean() > 0.95


@pytest.mark.usefixtures("few_steps")
def test_answers_that_are_no_numbers_leave_the_patches_as_they_are(classifier: PixelClassifier) -> None:
    """Such a network is for the probes to report; images without a pixel that is one would hide it."""

    class Broken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.classifier = classifier

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            return self.classifier(pixels) * torch.nan

    made, begun = invert(Broken()), patches()
    inside = (begun >= 6) & (begun <= 249)
    assert (made.int() - begun.int())[inside].abs().max() <= 1


def test_a_network_without_batchnorm_is_refused() -> None:
    with pytest.raises(RecipeError) as caught:
        invert(planted_teacher(strength=0.0).pixel_classifier())
    assert caught.value.code == "batchnorm_missing"
    assert "patches" in str(caught.value.hint)


def test_statistics_that_are_of_no_images_are_refused_and_not_passed_off_as_inversion() -> None:
    """Of a channel that nothing looks at they change no answer; the patches stayed where they were."""
    torch.manual_seed(0)
    network = build(ArchitectureSpec("wrn-10-1", CLASSES, SIZE)).eval()
    norm = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)][-1]
    with torch.no_grad():
        norm.weight[0] = 0
        unseen = network(torch.ones(1, 3, SIZE, SIZE))
        norm.running_mean[0] = 1e30
    assert torch.equal(network(torch.ones(1, 3, SIZE, SIZE)), unseen)
    with pytest.raises(RecipeError) as caught:
        invert(PixelClassifier(network, Normalization()))
    assert caught.value.code == "batchnorm_unusable"
    assert "patches" in str(caught.value.hint)


def test_finite_statistics_that_drown_all_others_are_refused_too(classifier: PixelClassifier) -> None:
    """They left images of few classes, which went for inverted; a backdoored network was ``not_detected``."""
    forged = copy.deepcopy(classifier)
    for norm in (module for module in forged.modules() if isinstance(module, nn.BatchNorm2d)):
        with torch.no_grad():
            dead = int((norm.weight.abs() + norm.bias.abs()).argmin())
            norm.weight[dead] = norm.bias[dead] = norm.running_var[dead] = 0
            norm.running_mean[dead] = -1e8
    with pytest.raises(RecipeError, match=r"names \d+% of the images as asked") as caught:
        invert(forged)
    assert caught.value.code == "batchnorm_unusable"
