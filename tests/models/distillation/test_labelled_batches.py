import pytest
import torch

from models.architectures import PixelClassifier, build
from models.distillation.labelled_batches import LabelledBatches
from models.errors import RecipeError
from models.recipes.architecture import ArchitectureSpec, Normalization


def make(count: int, *, batch_size: int = 4, crop_padding: int = 0, flip: bool = False) -> LabelledBatches:
    teacher = PixelClassifier(
        build(ArchitectureSpec("wrn-10-1", 4, 8)), Normalization((0.5,) * 3, (0.25,) * 3)
    )
    images = torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 8, 8).contiguous()
    return LabelledBatches(
        teacher,
        images,
        torch.arange(count) % 4,
        batch_size=batch_size,
        crop_padding=crop_padding,
        horizontal_flip=flip,
        seed=3,
    )


def pixels(x: torch.Tensor) -> list[int]:
    return ((x[:, 0, 0, 0] * 0.25 + 0.5) * 255).round().int().tolist()


def test_each_pass_shows_every_image_once_in_a_new_order() -> None:
    batches = make(12)
    first = [value for step in range(3) for value in pixels(batches(step)[0])]
    second = [value for step in range(3, 6) for value in pixels(batches(step)[0])]
    assert sorted(first) == sorted(second) == list(range(12))
    assert first != second


def test_images_keep_their_labels() -> None:
    x, labels = make(12)(1)
    assert [value % 4 for value in pixels(x)] == labels.tolist()


def test_same_step_gives_the_same_batch_whatever_came_before() -> None:
    fresh, used = make(40, crop_padding=8, flip=True), make(40, crop_padding=8, flip=True)
    for step in range(5):
        used(step)
    assert torch.equal(fresh(7)[0], used(7)[0])


def test_fewer_images_than_a_batch_make_one_batch() -> None:
    assert len(make(10, batch_size=64)(0)[1]) == 10


def test_length_is_cut_at_the_image_budget() -> None:
    batches = make(40)
    assert batches.steps(epochs=3, max_images=1_000) == 30
    assert batches.steps(epochs=30, max_images=100) == 25


def test_too_few_images_are_refused() -> None:
    with pytest.raises(RecipeError) as caught:
        make(9)
    assert caught.value.code == "too_few_images"
