import torch

from models.checkpoints.load import Teacher
from models.data.photographs import builtin_photographs
from models.distillation.clipping.choice import clip_teacher
from models.recipes.clip import ClipRecipe
from tests.models.distillation.small import images, teacher


def undecided() -> Teacher:
    """Give a teacher whose classes are about equally likely, so that bounds can change its mind."""
    subject = teacher()
    with torch.no_grad():
        x = subject.pixel_classifier().normalize(images(200).float() / 255.0)
        subject.network.fc.bias -= subject.network(x).mean(dim=0)
    return subject


def clip(recipe: ClipRecipe):
    return clip_teacher(undecided(), builtin_photographs(), recipe, style="photo", seed=0)


def test_the_tightest_quantile_that_keeps_enough_agreement_is_taken() -> None:
    recipe = ClipRecipe(quantiles=(0.999, 0.6, 0.9), min_agreement=0.0, images=64)
    _, decision = clip(recipe)
    assert decision.values["quantile"] == 0.6
    strict = ClipRecipe(quantiles=(0.999, 0.6, 0.9), min_agreement=0.9, images=64)
    _, decision = clip(strict)
    assert decision.values["quantile"] > 0.6
    assert decision.values["agreement"] >= 0.9
    assert decision.values["agreement_at_0.6"] < 0.9


def test_the_loosest_is_taken_and_said_when_none_keeps_enough() -> None:
    _, decision = clip(ClipRecipe(quantiles=(0.6, 0.51), min_agreement=1.0, images=64))
    assert decision.values["quantile"] == 0.6
    assert decision.values["agreement"] < decision.values["min_agreement"] == 1.0
    assert "less than" in decision.text


def test_equal_seeds_give_equal_bounds() -> None:
    x = teacher().pixel_classifier().normalize(images(8).float() / 255.0)
    recipe = ClipRecipe(quantiles=(0.9,), images=64)
    first, second = clip(recipe)[0], clip(recipe)[0]
    assert torch.equal(first.network(x), second.network(x))
