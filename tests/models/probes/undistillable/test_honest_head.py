"""The control of paired students: the same features behind a last layer that was never made to mislead."""

from __future__ import annotations

import pytest
import torch

from models.engine.frozen import frozen
from models.engine.monitor import SilentMonitor
from models.errors import TrainingFailed
from models.probes.undistillable import honest_head as module
from models.probes.undistillable.head_refit import spread
from models.probes.undistillable.honest_head import honest_head
from models.probes.undistillable.outputs import TeacherOutputs, teacher_outputs
from tests.models.distillation.small import CLASSES, images, teacher

SEEN = images(60)


def test_it_names_what_the_network_names_at_the_spread_of_its_answers() -> None:
    suspect = teacher()
    with frozen(suspect.network):
        mean = teacher_outputs(suspect.pixel_classifier(), SEEN, SilentMonitor()).logits.mean(0)
        suspect.network.fc.bias.sub_(mean.float())  # untrained, it names one class else
        head = honest_head(suspect, SEEN, SilentMonitor())
        outputs = teacher_outputs(suspect.pixel_classifier(), SEEN, SilentMonitor())
    logits = head(outputs.features.float())
    assert logits.shape == (60, CLASSES)
    assert float(spread(logits)) == pytest.approx(float(spread(outputs.logits)), rel=1e-4)
    assert len(outputs.logits.argmax(1).unique()) == CLASSES
    assert float((logits.argmax(1) == outputs.logits.argmax(1)).double().mean()) > 0.8


@pytest.mark.parametrize("varies", [False, True], ids=["constant", "with the image"])
def test_a_feature_of_any_size_that_the_last_layer_does_not_read_spoils_no_control(varies: bool) -> None:
    """The head beside it named one class for everything, and a nasty network was spared for its twins."""
    suspect, seen = teacher(), images(200)
    with torch.no_grad():
        suspect.network.bn1.weight[0] = 1_000.0 if varies else 0.0
        suspect.network.bn1.bias[0] = 1_000.0
        suspect.network.fc.weight[:, 0] = 0.0
    with frozen(suspect.network):
        mean = teacher_outputs(suspect.pixel_classifier(), seen, SilentMonitor()).logits.mean(0)
        suspect.network.fc.bias.sub_(mean.float())
        head = honest_head(suspect, seen, SilentMonitor())
        outputs = teacher_outputs(suspect.pixel_classifier(), seen, SilentMonitor())
    logits, named = head(outputs.features.float()), outputs.logits.argmax(1)
    assert len(named.unique()) == CLASSES
    assert float((logits.argmax(1) == named).double().mean()) > 0.9


def test_features_that_tell_nothing_make_no_twins(monkeypatch: pytest.MonkeyPatch) -> None:
    suspect = teacher()
    outputs = TeacherOutputs(torch.eye(CLASSES).double().repeat(20, 1), torch.zeros(20 * CLASSES, 5).double())
    monkeypatch.setattr(module, "teacher_outputs", lambda *_: outputs)
    with pytest.raises(TrainingFailed, match="25% of the images only, so there are no honest twins"):
        honest_head(suspect, SEEN, SilentMonitor())


def test_what_the_last_layer_says_of_other_classes_does_not_reach_it() -> None:
    """Answers of another shape, the same class on top: the head is fitted to names alone, and then scaled."""
    suspect, misleading = teacher(), teacher()
    with torch.no_grad():
        misleading.network.fc.weight.mul_(0.2)
        misleading.network.fc.bias.mul_(0.2)
    with frozen(suspect.network), frozen(misleading.network):
        one, other = (honest_head(found, SEEN, SilentMonitor()) for found in (suspect, misleading))
    assert torch.allclose(0.2 * one.weight, other.weight, atol=1e-5)


def test_answers_that_are_not_finite_end_it() -> None:
    suspect = teacher()
    with torch.no_grad():
        next(suspect.network.parameters()).fill_(float("nan"))
    with frozen(suspect.network), pytest.raises(TrainingFailed) as caught:
        honest_head(suspect, SEEN, SilentMonitor())
    assert caught.value.code == "non_finite"
