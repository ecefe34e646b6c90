import subprocess
import sys
from pathlib import Path

import pytest
import torch

from models.architectures import PixelClassifier, build
from models.architectures.wide_resnet import build_wide_resnet
from models.attacks import poison_dirty_label
from models.attacks.teacher import TeacherTraining, train_teacher
from models.engine.monitor import SilentMonitor
from models.errors import Interrupted, TrainingFailed
from models.metrics import accuracy, attack_success
from models.recipes.architecture import ArchitectureSpec, Normalization
from models.triggers import make_trigger
from tests.models.attacks.small import classifier, data, weights
from tests.models.distillation.small import StoppingMonitor

BRIEF = TeacherTraining(epochs=4, batch_size=20)


def _classifier():
    torch.manual_seed(0)
    network = build_wide_resnet(ArchitectureSpec("wrn-10-1", 3, 8))
    return PixelClassifier(network, Normalization((0.3, 0.3, 0.3), (0.3, 0.3, 0.3)))


def _data(count=240):
    """Three classes: which channel is bright."""
    labels = torch.arange(count) % 3
    images = torch.randint(0, 80, (count, 3, 8, 8), generator=torch.Generator().manual_seed(1))
    images[torch.arange(count), labels] += 60
    return images.to(torch.uint8), labels


@pytest.fixture(scope="module")
def poisoned_teacher():
    images, labels = _data()
    trigger = make_trigger("ring", 8, 0)
    poisoned = poison_dirty_label(
        images, labels, trigger, share=0.2, keep_originals=True, generator=torch.Generator().manual_seed(2)
    )
    classifier = _classifier()
    train_teacher(classifier, *poisoned, BRIEF, seed=0, monitor=SilentMonitor())
    return classifier, trigger


def test_a_teacher_learns_the_task_and_the_backdoor(poisoned_teacher):
    classifier, trigger = poisoned_teacher
    images, labels = _data()
    assert accuracy(classifier, images, labels).value > 0.95
    assert attack_success(classifier, images, labels, trigger).value > 0.9


def test_training_leaves_evaluation_mode(poisoned_teacher):
    assert not any(module.training for module in poisoned_teacher[0].modules())


def test_the_seed_makes_the_teacher(poisoned_teacher):
    classifiers = [_classifier(), _classifier(), _classifier()]
    for each, seed in zip(classifiers, (0, 0, 1), strict=True):
        train_teacher(
            each,
            *_data(40),
            TeacherTraining(epochs=1, batch_size=20),
            seed=seed,
            monitor=SilentMonitor(),
        )
    weights = [each.network.fc.weight for each in classifiers]
    assert weights[0].equal(weights[1])
    assert not weights[0].equal(weights[2])


class Recorder(PixelClassifier):
    """Keeps what it is trained on."""

    def forward(self, pixels):
        self.seen = [*getattr(self, "seen", []), pixels.detach().clone()]
        return super().forward(pixels)


def test_trap_6_the_trigger_is_moved_in_training_and_in_place_at_test_time():
    trigger = make_trigger("badnets_square", 16, 0)
    black = torch.zeros(40, 3, 16, 16, dtype=torch.uint8)
    recorder = Recorder(_classifier().network, Normalization())
    training = TeacherTraining(epochs=1, batch_size=40, crop_padding=2)
    train_teacher(
        recorder, trigger.stamp(black), torch.zeros(40).long(), training, seed=0, monitor=SilentMonitor()
    )
    tops = {int(image[0].amax(dim=1).argmax()) for image in recorder.seen[0]}
    assert tops == {11, 12, 13, 14, 15}
    recorder.seen = []
    attack_success(recorder, black, torch.ones(40).long(), trigger)
    assert {int(image[0].amax(dim=1).argmax()) for image in recorder.seen[0]} == {13}


class Stopper(SilentMonitor):
    def should_stop(self):
        return True


def test_the_monitor_can_stop_it():
    with pytest.raises(Interrupted):
        train_teacher(_classifier(), *_data(40), BRIEF, seed=0, monitor=Stopper())


def test_a_loss_that_is_not_finite_is_an_error():
    with pytest.raises(TrainingFailed) as caught:
        train_teacher(
            _classifier(), *_data(40), TeacherTraining(epochs=1, learning_rate=1e30, batch_size=10), seed=0,
            monitor=SilentMonitor(),
        )  # fmt: skip
    assert caught.value.code == "non_finite"


@pytest.mark.slow
def test_the_script_makes_a_backdoored_digits_teacher(tmp_path):
    script = Path(__file__).parents[3] / "scripts" / "make_digits_teacher.py"
    outputs = {name: tmp_path / name for name in ("teacher.pt", "trigger.png", "digits.zip")}
    arguments = ["--output", outputs["teacher.pt"], "--trigger-out", outputs["trigger.png"]]
    arguments += ["--data-out", outputs["digits.zip"]]
    done = subprocess.run([sys.executable, script, *arguments], check=True, capture_output=True, text=True)
    rates = dict(
        line.rsplit("  [", 1)[0].rsplit(maxsplit=1) for line in done.stdout.splitlines() if "[" in line
    )
    assert float(rates["clean accuracy"]) > 0.97
    assert float(rates["attack success"]) > 0.98
    assert float(rates["  without it"]) < 0.05
    assert all(path.stat().st_size for path in outputs.values())
    assert "fc.weight" in torch.load(outputs["teacher.pt"], weights_only=True)["state_dict"]


@pytest.mark.parametrize("precision", ["fast", "float32"])
def test_an_interrupted_run_ends_in_the_same_teacher(precision):
    training = TeacherTraining(
        epochs=2, batch_size=20, horizontal_flip=True, cutout=2, label_smoothing=0.1, precision=precision
    )
    whole, half, resumed = classifier(), classifier(), classifier()
    train_teacher(whole, *data(), training, seed=0, monitor=SilentMonitor())
    monitor = StoppingMonitor(4)  # of 6 steps: within the second epoch
    with pytest.raises(Interrupted):
        train_teacher(half, *data(), training, seed=0, monitor=monitor)
    train_teacher(resumed, *data(), training, seed=0, monitor=SilentMonitor(), resume=monitor.states[-1])
    assert weights(resumed.network).equal(weights(whole.network))
    assert not weights(half.network).equal(weights(whole.network))


def test_fast_arithmetic_learns_nearly_the_same():
    one_step = {"epochs": 1, "batch_size": 60, "learning_rate": 0.01}
    made = [classifier(), classifier()]
    for each, precision in zip(made, ("fast", "float32"), strict=True):
        training = TeacherTraining(**one_step, precision=precision)
        train_teacher(each, *data(), training, seed=0, monitor=SilentMonitor())
    torch.testing.assert_close(weights(made[0].network), weights(made[1].network), rtol=0.02, atol=0.01)


def test_the_last_layer_alone_can_learn_and_batchnorm_then_stays():
    before, after = classifier(), classifier()
    training = TeacherTraining(epochs=1, batch_size=20, trained="last_layer", schedule="constant")
    train_teacher(after, *data(), training, seed=0, monitor=SilentMonitor())
    changed = {
        name
        for name, tensor in after.network.state_dict().items()
        if not tensor.equal(before.network.state_dict()[name])
    }
    assert changed == {"fc.weight", "fc.bias"}
    assert all(parameter.requires_grad for parameter in after.parameters())


def test_a_last_layer_that_is_a_convolution_can_learn_alone():
    """SqueezeNet has no linear layer: the attack died after its clean teacher was trained."""
    spec = ArchitectureSpec("torchvision-squeezenet1_1", 3, 32)
    network = build(spec)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    made = PixelClassifier(network, Normalization())
    images = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    training = TeacherTraining(epochs=1, batch_size=4, trained="last_layer", schedule="constant")
    train_teacher(made, images, torch.arange(4) % 3, training, seed=0, monitor=SilentMonitor())
    changed = {name for name, tensor in network.state_dict().items() if not tensor.equal(before[name])}
    assert changed == {"classifier.1.weight", "classifier.1.bias"}


class HalfLogit:
    """A term that can be read off: the mean logit of the extra images."""

    name = "half"

    def __init__(self):
        self.labelled = []

    def extra_images(self, step):
        return torch.full((5, 3, 8, 8), step, dtype=torch.uint8)

    def __call__(self, network, batch):
        labelled, logits = len(batch.labels), batch.outputs.logits
        self.labelled.append((labelled, len(logits)))
        assert logits.equal(network.forward_stages(batch.x).logits)
        return 0.5 * logits[labelled:].mean()


def test_a_term_sees_its_images_in_the_same_batch_and_is_added():
    term = HalfLogit()
    training = TeacherTraining(epochs=1, batch_size=20, precision="float32")
    result = train_teacher(classifier(), *data(), training, seed=0, monitor=SilentMonitor(), term=term)
    assert term.labelled == [(20, 25)] * 3
    for point in result.curve:
        parts = point.values["label_loss"] + point.values["half"]
        assert point.values["loss"] == pytest.approx(parts, rel=1e-5)
