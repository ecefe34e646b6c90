from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from models.probes.probe_images import ProbeImages
from models.probes.trigger_measuring import bold_area, hides_image, measure_trigger, trigger_norm
from models.triggers import Trigger
from models.triggers.catalog import known_triggers, make_trigger
from tests.models.probes.planted import SIZE, QuadrantNetwork, checkerboard, quadrant_images


def test_images_of_the_target_class_are_left_out_trap_8() -> None:
    held_out, labels = quadrant_images(100)
    report = measure_trigger(
        QuadrantNetwork(strength=60.0),
        checkerboard(2),
        "given",
        ProbeImages(held_out, held_out, labels, "clean images"),
    )
    assert report.teacher_success.n == int((labels != 2).sum())
    assert report.teacher_success.value == 1.0


def test_without_labels_the_teacher_says_which_images_are_the_targets_trap_8() -> None:
    held_out, labels = quadrant_images(100)
    report = measure_trigger(
        QuadrantNetwork(strength=0.0),
        checkerboard(2),
        "given",
        ProbeImages(held_out, held_out, None, "surrogate patches"),
    )
    assert report.teacher_success.n == int((labels != 2).sum())
    assert report.clean_rate.value == 0.0


def test_norm_is_that_of_the_change_in_pixels() -> None:
    pattern = torch.full((3, SIZE, SIZE), 1.0)
    mask = torch.zeros(1, SIZE, SIZE)
    mask[0, 0, 0] = 1
    black = torch.zeros(2, 3, SIZE, SIZE, dtype=torch.uint8)
    assert trigger_norm(Trigger("dot", "replace", pattern, mask, 0), black) == pytest.approx(3**0.5)


def test_boldness_is_of_what_is_stamped_and_not_of_the_triggers_kind() -> None:
    """A picture of the class, blended at half or added, makes a benign network obey, as a pasted one does."""
    pattern, quarter = torch.full((3, SIZE, SIZE), 0.9), torch.zeros(1, SIZE, SIZE)
    quarter[:, : SIZE // 2, : SIZE // 2] = 1.0
    areas = [bold_area(Trigger("t", kind, pattern, quarter, 0)) for kind in ("replace", "blend", "additive")]
    assert areas == [0.25] * 3
    assert bold_area(Trigger("t", "blend", pattern, 0.2 * quarter, 0)) == 0.0
    assert bold_area(Trigger("t", "additive", 0.2 * pattern, quarter, 0)) == 0.0
    known = {name: bold_area(make_trigger(name, 32, 0)) for name in known_triggers()}
    assert {name for name, area in known.items() if area >= 0.1} == {"ring", "watermark_substitute"}


def test_picture_over_the_whole_image_hides_it() -> None:
    trigger = checkerboard()
    whole = torch.ones(1, SIZE, SIZE)
    assert not hides_image(trigger)
    assert hides_image(replace(trigger, mask=whole))
    assert not hides_image(replace(trigger, kind="blend", mask=0.2 * whole))
