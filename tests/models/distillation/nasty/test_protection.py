from dataclasses import replace

import pytest
import torch

from models.data.bundle import AuditData
from models.distillation.nasty.owner_images import split_images
from models.distillation.nasty.protection import (
    _check_students,
    _first_weights,
    measure_protection,
    protect,
)
from models.engine.monitor import SilentMonitor
from models.errors import Interrupted, RecipeError
from models.recipes.architecture import ArchitectureSpec
from models.recipes.protect import HarmRecipe, ProtectRecipe
from tests.models.distillation.small import CLASSES, StoppingMonitor, images, teacher, weights

HARM = HarmRecipe(architecture="wrn-10-1", epochs=1, batch_size=16)
RECIPE = ProtectRecipe(epochs=2, batch_size=16, harm=HARM, holdout_share=0.25)
DATA = AuditData(images=images(), labels=torch.arange(48) % CLASSES)


def made(recipe=RECIPE, monitor=None, resume=None, original=None):
    return protect(
        original or teacher(), DATA, recipe, seed=3, monitor=monitor or SilentMonitor(), resume=resume
    )


def test_the_record_says_how_it_was_made() -> None:
    result = made().result
    assert (result.architecture, result.start, result.omega) == (teacher().spec, RECIPE.start, RECIPE.omega)
    assert (result.training_images, result.steps, result.images_seen) == (36, 4, 64)
    assert {"loss", "label_loss", "divergence"} <= set(result.final)


def test_the_twin_comes_in_evaluation_mode_and_the_original_is_as_before() -> None:
    original = teacher()
    before = weights(original.network).clone()
    twin = made(original=original).network
    assert not twin.training
    assert torch.equal(weights(original.network), before)
    assert not torch.equal(weights(twin), before)


def test_it_can_start_from_new_weights_or_the_originals() -> None:
    original = teacher()
    same = _first_weights(original, original.spec, replace(RECIPE, start="original"), 3)
    new = _first_weights(original, original.spec, replace(RECIPE, start="scratch"), 3)
    assert torch.equal(weights(same), weights(original.network))
    assert not torch.equal(weights(new), weights(original.network))


def test_the_network_to_differ_from_may_be_another_one() -> None:
    """The paper's adversaries of other architectures."""
    recipe = replace(RECIPE, start="scratch")
    found = protect(teacher(), DATA, recipe, seed=3, monitor=SilentMonitor(), architecture="plain-cnn-w16")
    assert found.result.architecture.name == "plain-cnn-w16"
    with pytest.raises(RecipeError, match="cannot start"):
        protect(teacher(), DATA, RECIPE, seed=3, monitor=SilentMonitor(), architecture="plain-cnn-w16")


def test_students_that_take_no_such_images_are_refused_before_anything_is_trained() -> None:
    """A VGG halves its input five times; this was told only when the twin had been trained."""
    monitor = StoppingMonitor(1)
    with pytest.raises(RecipeError) as caught:
        made(replace(RECIPE, harm=replace(HARM, architecture="vgg-11-bn-w16")), monitor=monitor)
    assert caught.value.code == "input_size_unsupported"
    assert not monitor.states


def test_students_whose_layers_are_computed_with_tensors_are_not_refused() -> None:
    """RegNet's are, and on the meta device those have no values."""
    original = replace(teacher(), spec=ArchitectureSpec("wrn-10-1", CLASSES, 32))
    harm = replace(HARM, architecture="torchvision-regnet_x_400mf")
    try:
        _check_students(original, replace(RECIPE, harm=harm))
    except RecipeError as problem:
        pytest.fail(f"{harm.architecture} was refused: {problem.detail}")


def test_an_interrupted_protection_ends_in_the_same_network() -> None:
    monitor = StoppingMonitor(2)
    with pytest.raises(Interrupted):
        made(monitor=monitor)
    assert torch.equal(weights(made(resume=monitor.states[-1]).network), weights(made().network))


def test_nothing_that_is_measured_on_was_trained_on() -> None:
    marked = AuditData(images=DATA.images, labels=torch.arange(48) % CLASSES)
    split = split_images(teacher(), marked, RECIPE, seed=3)
    training = {image.numpy().tobytes() for image in split.images}
    held_out = {image.numpy().tobytes() for image in split.held_out_images}
    assert (len(training), len(held_out), training & held_out) == (36, 12, set())


def test_images_that_are_divided_already_stay_so() -> None:
    split = split_images(teacher(), DATA, RECIPE, seed=3)
    assert split_images(teacher(), split, RECIPE, seed=4) is split


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (AuditData(), "data_missing"),
        (AuditData(images=images()), "data_missing"),
        (AuditData(images=images(), labels=torch.arange(48)), "labels_mismatch"),
        (AuditData(images=images(0), labels=torch.arange(0)), "too_few_images"),
        (AuditData(images=images(4), labels=torch.arange(4)), "too_few_images"),
    ],
)
def test_images_that_will_not_do_are_refused(data: AuditData, code: str) -> None:
    with pytest.raises(RecipeError) as caught:
        protect(teacher(), data, RECIPE, seed=0, monitor=SilentMonitor())
    assert caught.value.code == code
    assert caught.value.hint


def test_a_twin_that_is_the_original_harms_nobody() -> None:
    original = teacher()
    result = measure_protection(original, original.network, DATA, RECIPE, seed=3, monitor=SilentMonitor())
    assert result.accuracy_change.value == 0.0
    assert result.agreement.value == 1.0
    assert all(triple.nasty_minus_original.value == 0.0 for triple in result.students)
    assert result.images == 12


def test_the_measurement_can_be_interrupted() -> None:
    original, twin = teacher(), made().network
    monitor = StoppingMonitor(1)
    with pytest.raises(Interrupted):
        measure_protection(original, twin, DATA, RECIPE, seed=3, monitor=monitor)
    whole = measure_protection(original, twin, DATA, RECIPE, seed=3, monitor=SilentMonitor())
    resumed = measure_protection(
        original, twin, DATA, RECIPE, seed=3, monitor=SilentMonitor(), resume=monitor.states[-1]
    )
    assert resumed.students == whole.students
