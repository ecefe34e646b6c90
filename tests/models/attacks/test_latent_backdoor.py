import pytest
import torch

from models.architectures.staged import StageOutputs
from models.attacks.feature_trigger import features_of
from models.attacks.latent_backdoor import FeatureCoupling, NearTarget, mean_features, search_latent_trigger
from models.attacks.teacher import TermBatch
from models.engine.monitor import SilentMonitor
from models.errors import Interrupted
from models.recipes.lab import LatentRecipe
from tests.models.attacks.small import classifier, data, square
from tests.models.distillation.small import StoppingMonitor

RECIPE = LatentRecipe(steps=20, batch_size=20, learning_rate=0.05, opacity=0.5)


def search(monitor=None, resume=None):
    images, labels = data()
    teacher = classifier()
    targets = mean_features(teacher, images[labels == 0])
    trigger = search_latent_trigger(
        teacher, images[labels != 0], targets, RECIPE,
        target_label=0, seed=0, monitor=monitor or SilentMonitor(), resume=resume,
    )  # fmt: skip
    return trigger, teacher, targets


def test_mean_features_are_those_of_the_images_on_average():
    images = data(6)[0]
    teacher = classifier()
    each = [features_of(teacher, image[None] / 255.0) for image in images]
    for index, mean in enumerate(mean_features(teacher, images)):
        expected = torch.stack([features[index][0] for features in each]).mean(dim=0)
        torch.testing.assert_close(mean, expected, atol=1e-5, rtol=1e-4)


def test_stamped_images_come_nearer_to_the_target_in_feature_space():
    trigger, teacher, targets = search()
    images, labels = data()
    others = images[labels != 0]
    distance = NearTarget(targets)
    with torch.no_grad():
        stamped = distance(features_of(teacher, trigger.stamp(others) / 255.0))
        assert stamped < 0.8 * distance(features_of(teacher, others / 255.0))
    assert trigger.mask.max() <= 0.5 + 1 / 255
    assert trigger.mask.shape[0] == 1


def test_an_interrupted_search_finds_the_same_trigger():
    monitor = StoppingMonitor(7)
    with pytest.raises(Interrupted):
        search(monitor)
    assert search(resume=monitor.states[-1])[0].pattern.equal(search()[0].pattern)


def test_the_coupling_reads_the_extra_images_alone():
    images, labels = data()
    teacher = classifier()
    target = torch.ones(teacher.network.stage_channels[-1], 2, 2)
    coupling = FeatureCoupling(images[labels != 0], square(), target, RECIPE, seed=0)
    extra = coupling.extra_images(3)
    assert extra.shape == (20, 3, 8, 8)
    assert square().stamp(extra).equal(extra)
    assert not extra.equal(coupling.extra_images(4))

    class Plain:
        def prerelu(self, index, stage):
            assert index == 2
            return stage

    last = torch.full((5, *target.shape), 9.0)
    last[3:] = 3.0
    outputs = StageOutputs(torch.zeros(5, 3), (last, last, last), torch.zeros(5, 4))
    batch = TermBatch(torch.zeros(5, 3, 8, 8), outputs, torch.zeros(3, dtype=torch.int64))
    assert coupling(Plain(), batch).item() == pytest.approx(RECIPE.feature_weight * 4.0)
