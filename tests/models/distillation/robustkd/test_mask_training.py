import pytest
import torch

from models.distillation.feature import student_batches
from models.distillation.robustkd.mask_training import MaskTraining
from models.recipes.feature import FeatureRecipe
from models.recipes.robustkd import EditedStages, RobustKDRecipe
from tests.models.distillation.small import images, network, teacher

LABELS = torch.arange(48) % 4


def make(recipe: RobustKDRecipe) -> MaskTraining:
    return MaskTraining(teacher().pixel_classifier(), images(), LABELS, recipe, seed=2)


@pytest.mark.parametrize("padding", [0, 4])
@pytest.mark.parametrize("flip", [False, True])
def test_trap_45_masks_see_the_crops_and_flips_of_the_distillation(padding: int, flip: bool) -> None:
    feature = FeatureRecipe(crop_padding=padding, horizontal_flip=flip)
    masks = make(RobustKDRecipe(feature=feature)).batches
    student = student_batches(teacher(), images(), LABELS, feature, 2)
    assert (masks.padding, masks.horizontal_flip) == (student.padding, student.horizontal_flip)
    assert masks.images.shape[1:] == student.images.shape[1:]


@pytest.mark.parametrize(("edited", "first"), [("all", 0), ("last_two", 1), ("last", 2)])
def test_recipe_says_which_stages_are_edited(edited: EditedStages, first: int) -> None:
    training = make(RobustKDRecipe(edited_stages=edited))
    mask = training.start(training.teacher, 0.5)
    assert (mask.first, len(mask.masks)) == (first, 3 - first)


def test_copy_starts_at_its_own_mean_features() -> None:
    training = make(RobustKDRecipe())
    copy = teacher().pixel_classifier()
    with torch.no_grad():
        copy.network.conv1.weight.mul_(2.0)  # type: ignore[union-attr]
    first, second = training.start(training.teacher, 0.5), training.start(copy, 0.5)
    assert not torch.equal(first.replacements[0], second.replacements[0])


def test_images_that_judge_are_not_trained_on() -> None:
    training = make(RobustKDRecipe())
    judged = {tuple(image.flatten().tolist()) for image in training.images}
    trained = {tuple(image.flatten().tolist()) for image in training.batches.images}
    assert judged
    assert not judged & trained


def test_canaries_do_not_depend_on_the_suspect() -> None:
    one = make(RobustKDRecipe(canaries=2)).canaries
    other = MaskTraining(
        type(teacher().pixel_classifier())(network("wrn-10-2", 5), teacher().normalization),
        images(),
        LABELS,
        RobustKDRecipe(canaries=2),
        seed=2,
    ).canaries
    assert len(one) == 2
    assert all(torch.equal(a.pattern, b.pattern) for a, b in zip(one, other, strict=True))
