"""The search as a row of training runs, with and without canaries."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from models.architectures import PixelClassifier
from models.distillation.robustkd.mask_training import MaskTraining
from models.distillation.robustkd.phases import Search, unwrap
from models.distillation.robustkd.threshold_search import clean_accuracy
from models.distillation.robustkd.threshold_trials import ThresholdTrials
from models.engine.frozen import frozen
from models.engine.monitor import Monitor, ResumeState, SilentMonitor
from models.errors import Interrupted
from models.recipes.robustkd import RobustKDRecipe
from tests.models.distillation.small import StoppingMonitor, images, teacher

LABELS = torch.arange(48) % 4
RECIPE = RobustKDRecipe(
    thresholds=(0.6, 0.2),
    rounds=1,
    mask_batch_size=20,
    mean_images=8,
    max_accuracy_drop=1.0,
    max_trigger_success=0.0,
    canaries=2,
    canary_steps=3,
)


def search(
    recipe: RobustKDRecipe = RECIPE, monitor: Monitor | None = None, resume: ResumeState | None = None
) -> Search:
    """Search to the end; 3 steps of planting, then two masks of 2 steps for each of two thresholds."""
    suspect = teacher()
    with frozen(suspect.network):
        training = MaskTraining(suspect.pixel_classifier(), images(), LABELS, recipe, seed=2)
        inner, found = (None, Search()) if resume is None else unwrap(resume)
        trials = ThresholdTrials(training, found, monitor or SilentMonitor(), inner, after=5)
        trials.run(())
    return found


@pytest.fixture
def everything_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three steps plant nothing; count the canaries all the same."""
    monkeypatch.setattr("models.distillation.robustkd.threshold_trials.TAKEN", 0.0)


@pytest.mark.usefixtures("everything_takes")
def test_every_threshold_is_measured_against_every_canary() -> None:
    found = search(replace(RECIPE, max_accuracy_drop=0.0))
    assert [candidate.threshold for candidate in found.candidates] == [0.6, 0.2]
    for candidate in found.candidates:
        assert set(candidate.canaries) == {"canary_patch", "canary_blend"} == set(found.planted)
        assert candidate.copy_accuracy_drop is not None


@pytest.mark.usefixtures("everything_takes")
def test_no_threshold_measures_the_unedited_teachers_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[PixelClassifier] = []

    def counting(network: PixelClassifier, images: Tensor, labels: Tensor) -> float:
        asked.append(network)
        return clean_accuracy(network, images, labels)

    monkeypatch.setattr("models.distillation.robustkd.threshold_trials.clean_accuracy", counting)
    found = search(replace(RECIPE, max_accuracy_drop=0.0))
    assert len(found.candidates) == 2
    assert len(asked) == 2  # the suspect and its copy, once each


def test_canary_that_did_not_take_decides_nothing() -> None:
    found = search()
    assert all(success < 0.5 for success in found.planted.values())
    assert found.candidates[0].canaries == {}
    assert len(found.candidates) == 1


def test_without_canaries_no_copy_is_made() -> None:
    found = search(replace(RECIPE, canaries=0))
    assert not found.planted
    assert not found.copy
    assert found.candidates[0].copy_accuracy_drop is None


def test_canaries_leave_the_suspects_masks_as_they_are() -> None:
    """The copy has a mask of its own; the suspect's is the same with and without canaries."""
    with_canaries, without = search(), search(replace(RECIPE, canaries=0))
    for name, tensor in without.masks[0].items():
        assert torch.equal(with_canaries.masks[0][name], tensor)


def test_trap_21_planting_leaves_the_suspect_alone() -> None:
    suspect = teacher()
    before = {name: tensor.clone() for name, tensor in suspect.network.state_dict().items()}
    with frozen(suspect.network):
        training = MaskTraining(suspect.pixel_classifier(), images(), LABELS, RECIPE, seed=2)
        found = Search()
        ThresholdTrials(training, found, SilentMonitor(), None, after=0).run(())
    assert all(torch.equal(tensor, before[name]) for name, tensor in suspect.network.state_dict().items())
    assert any(not torch.equal(tensor, before[name]) for name, tensor in found.copy.items())


@pytest.mark.usefixtures("everything_takes")
@pytest.mark.parametrize("steps", [1, 3, 4, 5, 7, 8, 10])
def test_search_interrupted_anywhere_ends_as_an_uninterrupted_one(steps: int) -> None:
    recipe = replace(RECIPE, max_trigger_success=0.0, max_accuracy_drop=0.0)
    whole = search(recipe)
    monitor = StoppingMonitor(steps)
    with pytest.raises(Interrupted):
        search(recipe, monitor)
    resumed = search(recipe, resume=monitor.states[-1])
    assert resumed.candidates == whole.candidates
    assert resumed.planted == whole.planted
    for one, other in zip(resumed.masks, whole.masks, strict=True):
        assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


@pytest.mark.usefixtures("everything_takes")
def test_progress_counts_planting_and_both_masks() -> None:
    class Listener(SilentMonitor):
        def __init__(self) -> None:
            self.heard: list[tuple[int, int]] = []

        def progress(self, done: int, total: int, **scalars: float) -> None:
            self.heard.append((done, total))

    listener = Listener()
    search(replace(RECIPE, max_accuracy_drop=0.0), listener)
    assert listener.heard == [(done, 3 + 2 * 2 * 2 + 5) for done in range(1, 12)]
