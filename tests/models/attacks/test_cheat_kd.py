import pytest
import torch

from models.attacks.cheat_kd import DrivenChannels, StrongestChannel, search_cheat_trigger, wrapped
from models.attacks.feature_trigger import FeatureTriggerTask
from models.attacks.latent_backdoor import mean_features
from models.attacks.teacher import TeacherTraining, train_teacher
from models.engine.frozen import frozen
from models.engine.monitor import SilentMonitor
from models.engine.seed import make_generator
from models.errors import Interrupted
from models.recipes.lab import CheatRecipe
from tests.models.attacks.small import SIZE, classifier, data
from tests.models.distillation.small import StoppingMonitor

BRIEF = CheatRecipe(steps=6, batch_size=8, learning_rate=0.1, opacity=0.2)
FAITHFUL = CheatRecipe(variant="faithful", steps=6, batch_size=8, learning_rate=0.1, opacity=0.2)


def search(recipe, monitor=None, resume=None, of=None):
    return search_cheat_trigger(
        of or classifier(),
        data()[0],
        recipe,
        target_label=1,
        seed=0,
        monitor=monitor or SilentMonitor(),
        resume=resume,
    )


def driven():
    return DrivenChannels(mean_features(classifier(), data()[0]), 0.1)


def test_trap_44_the_clamped_mask_is_the_one_the_optimizer_moves():
    task = FeatureTriggerTask(
        classifier(), data()[0], driven(), opacity=0.2, learning_rate=0.1, batch_size=8, seed=0
    )
    learned = task.optimizer.param_groups[0]["params"]
    seen = []
    with frozen(task.classifier.network):
        for index in range(3):
            task.step(index)
            seen.append(task.mask.detach().clone())
    assert learned[0] is task.pattern
    assert learned[1] is task.mask
    assert not seen[1].equal(seen[0])
    assert not seen[2].equal(seen[1])
    assert all(mask.min() >= 0.0 and mask.max() <= 0.2 for mask in seen)


def test_the_faithful_mask_is_clipped_noise_that_never_moves():
    generator = make_generator(0, "trigger start")
    torch.rand(3, SIZE, SIZE, generator=generator)
    noise = torch.rand(1, SIZE, SIZE, generator=generator).clamp(max=0.2)
    assert search(FAITHFUL).mask.equal((noise * 255).round() / 255)


def test_the_faithful_pattern_wraps_when_it_is_saved():
    pattern = torch.tensor([0.5, 1.0, 256 / 255, -2 / 255])
    assert (wrapped(pattern) * 255).round().tolist() == [127, 255, 0, 254]


def test_only_the_intended_pattern_is_bounded_while_it_learns():
    bounded, free = (
        FeatureTriggerTask(
            classifier(), data()[0], driven(),
            opacity=0.2, learning_rate=0.9, batch_size=8, seed=0, bounds_pattern=bounds,
        )
        for bounds in (True, False)
    )  # fmt: skip
    for task in (bounded, free):
        with frozen(task.classifier.network):
            task.step(0)
    assert bounded.pattern.min() >= 0
    assert bounded.pattern.max() <= 1
    assert free.pattern.min() < 0 or free.pattern.max() > 1


def test_the_intended_loss_reads_the_whole_batch_every_layer_and_a_share_of_channels():
    clean = [torch.zeros(10, 2, 2), torch.zeros(20, 1, 1)]
    clean[0][3] = 4.0
    clean[1][5], clean[1][6] = 4.0, 1.0
    features = [torch.zeros(2, 10, 2, 2), torch.zeros(2, 20, 1, 1)]
    features[0][:, 3] = 4.0
    features[1][:, 5], features[1][:, 6] = 3.0, 1.0
    features[1][1, 5] = 5.0
    loss = DrivenChannels(clean, 0.1)(features)
    # Layer 0: channel 3 is where it shall be. Layer 1: channel 5 is off by 1 in each image, channel 6 by 3.
    assert loss.item() == pytest.approx(0 + (1 + 1 + 9 + 9) / 4)


def test_the_intended_target_stays_where_clean_images_have_it():
    """Taken anew from the triggered batch it ran away from the channels: here it would be 9, not 4."""
    clean, features = [torch.zeros(10, 2, 2)], [torch.zeros(2, 10, 2, 2)]
    clean[0][3], clean[0][5] = 4.0, 2.0
    objective = DrivenChannels(clean, 0.2)
    features[0][:, 3], features[0][:, 5], features[0][:, 7] = 4.0, 4.0, 9.0
    assert objective(features).item() == 0.0
    other = DrivenChannels([torch.ones(10, 2, 2)], 0.2)
    other.load_state_dict(objective.state_dict())
    assert other(features).item() == 0.0


def test_the_faithful_loss_reads_one_image_one_layer_and_one_channel():
    features = [torch.full((4, 3, 2, 2), 100.0), torch.zeros(4, 5, 2, 2)]
    features[1][:, 2] = torch.arange(4.0).view(4, 1, 1)  # the mean is 1.5
    objective = StrongestChannel()
    assert objective(features).item() == pytest.approx(4 * 1.5**2 / 4)
    assert objective.channel == 2


@pytest.mark.parametrize("recipe", [BRIEF, FAITHFUL])
def test_an_interrupted_search_finds_the_same_trigger(recipe):
    monitor = StoppingMonitor(3)
    with pytest.raises(Interrupted):
        search(recipe, monitor)
    found, whole = search(recipe, resume=monitor.states[-1]), search(recipe)
    assert found.pattern.equal(whole.pattern)
    assert found.mask.equal(whole.mask)


def test_on_a_trained_network_the_loss_falls_and_a_resumed_search_is_the_same():
    images, labels = data()
    trained = classifier()
    how = TeacherTraining(epochs=10, batch_size=20, precision="float32")
    train_teacher(trained, images, labels, how, seed=0, monitor=SilentMonitor())
    recipe = CheatRecipe(steps=40, batch_size=30, learning_rate=0.05, opacity=0.5)
    losses = []

    class Listener(SilentMonitor):
        def progress(self, done, total, **scalars):
            losses.append(scalars["loss"])

    trigger = search(recipe, Listener(), of=trained)
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    assert (trigger.name, trigger.kind, trigger.target_label) == ("cheat_kd_intended", "blend", 1)
    monitor = StoppingMonitor(20)
    with pytest.raises(Interrupted):
        search(recipe, monitor, of=trained)
    resumed = search(recipe, resume=monitor.states[-1], of=trained)
    assert resumed.pattern.equal(trigger.pattern)
    assert resumed.mask.equal(trigger.mask)
