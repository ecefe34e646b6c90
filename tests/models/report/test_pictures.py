import io

import numpy as np
import pytest
import torch
from PIL import Image

from models.report.pictures import CHECKER_COLORS, EXAMPLES, trigger_pictures
from models.triggers import make_trigger

TRIGGER = make_trigger("badnets_square", 16, 1)
#: Twenty gray images, each brighter than the one before.
IMAGES = (torch.arange(20, dtype=torch.uint8) * 10).view(-1, 1, 1, 1).expand(-1, 3, 16, 16).contiguous()


def decoded(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def test_the_pattern_comes_first_then_pairs_of_before_and_after():
    pictures = trigger_pictures(TRIGGER, IMAGES, image_source="clean images")
    assert len(pictures) == 1 + 2 * EXAMPLES
    assert {picture.group for picture in pictures} == {"badnets_square"}
    before, after = decoded(pictures[1].png), decoded(pictures[2].png)
    assert pictures[1].caption == "clean image"
    changed = (before != after).any(axis=2)
    assert changed.sum() == (TRIGGER.mask > 0).sum()


@pytest.mark.parametrize(
    ("images", "one"),
    [
        ("clean images", "clean image"),
        ("surrogate patches", "surrogate patch"),
        ("photographs", "photograph"),
    ],
)
def test_a_caption_names_one_image(images, one):
    pictures = trigger_pictures(TRIGGER, IMAGES, image_source=images)
    assert [picture.caption for picture in pictures[1::2]] == [one] * EXAMPLES


def test_examples_are_spread_over_a_sorted_archive():
    pictures = trigger_pictures(TRIGGER, IMAGES, image_source="clean images")
    brightness = [int(decoded(picture.png)[0, 0, 0]) for picture in pictures[1::2]]
    assert brightness == sorted(set(brightness))
    assert brightness[0] > 0


def test_a_faint_overlay_is_drawn_at_full_strength():
    faint = make_trigger("blend_substitute", 16, 1)
    pattern = decoded(trigger_pictures(faint, IMAGES, image_source="clean images")[0].png)
    expected = (faint.pattern * 255).round().permute(1, 2, 0).numpy().astype(int)
    assert np.abs(pattern.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("gray", [0.0, 0.25, 0.5, 0.75, 0.9, 1.0])
def test_no_gray_patch_hides_on_the_board(gray):
    """A light one that was recovered from a network of digits could not be seen in its picture."""
    assert all(max(abs(gray - part) for part in color) > 0.1 for color in CHECKER_COLORS)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("badnets_square", "the trigger on a checkerboard"),
        ("blend_substitute", "the trigger on a checkerboard (drawn opaque, it is stamped with an opacity of"),
        ("haze", "(gray is zero; drawn in full contrast, its largest change is "),
    ],
)
def test_what_is_drawn_stronger_than_it_is_is_called_so(name, told):
    """A faint haze and a loud one make the same picture; only the caption tells them apart."""
    caption = trigger_pictures(make_trigger(name, 16, 1), IMAGES, image_source="clean images")[0].caption
    assert told in caption
    assert ("drawn" in caption) == ("drawn" in told)


def test_one_image_is_enough():
    assert len(trigger_pictures(TRIGGER, IMAGES[:1], image_source="clean images")) == 1 + 2 * EXAMPLES
