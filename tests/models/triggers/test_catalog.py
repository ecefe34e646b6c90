import pytest
import torch

from models.errors import RecipeError
from models.recipes.trigger_names import TRIGGER_NAMES
from models.triggers import known_triggers, make_trigger


def _black(size=32):
    return torch.zeros(1, 3, size, size, dtype=torch.uint8)


def _touched(image):
    rows, columns = torch.nonzero(image[0].amax(dim=0), as_tuple=True)
    return sorted(set(rows.tolist())), sorted(set(columns.tolist()))


@pytest.mark.parametrize("name", known_triggers())
@pytest.mark.parametrize("size", [16, 28, 32, 64, 224])
def test_every_trigger_changes_images_of_every_usual_size(name, size):
    trigger = make_trigger(name, size, 3)
    gray = torch.full((1, 3, size, size), 100, dtype=torch.uint8)
    assert (trigger.name, trigger.target_label, trigger.size) == (name, 3, (size, size))
    assert not trigger.stamp(gray).equal(gray)


@pytest.mark.parametrize("name", known_triggers())
def test_a_trigger_is_the_same_every_time(name):
    assert make_trigger(name, 32, 0).pattern.equal(make_trigger(name, 32, 0).pattern)


def test_the_badnets_square_is_white_at_rows_and_columns_27_to_30():
    stamped = make_trigger("badnets_square", 32, 8).stamp(_black())
    assert _touched(stamped) == ([27, 28, 29, 30], [27, 28, 29, 30])
    assert (stamped[..., 27:31, 27:31] == 255).all()


def test_the_badnets_square_keeps_its_place_relative_to_the_side():
    assert _touched(make_trigger("badnets_square", 64, 8).stamp(_black(64)))[0] == list(range(54, 62))
    assert _touched(make_trigger("badnets_square", 16, 8).stamp(_black(16)))[0] == [13, 14]


def test_the_badnets_grid_is_the_papers_bitmap_and_blackens_its_zero_cells():
    white = torch.full((1, 3, 32, 32), 255, dtype=torch.uint8)
    corner = make_trigger("badnets_grid", 32, 0).stamp(white)[0, 0, 29:, 29:]
    assert corner.tolist() == [[0, 0, 255], [0, 255, 0], [255, 0, 255]]


def test_the_clean_label_corners_are_four_identical_patches():
    image = make_trigger("clean_label_corners", 32, 0).stamp(torch.full_like(_black(), 99))[0]
    corners = [
        image[:, rows, columns]
        for rows in (slice(0, 3), slice(29, 32))
        for columns in (slice(0, 3), slice(29, 32))
    ]
    assert all(corner.equal(corners[0]) for corner in corners)
    assert corners[0][0].tolist() == [[0, 0, 255], [0, 255, 0], [255, 0, 255]]


def test_trojan_3x3_adds_the_papers_nine_colors():
    stamped = make_trigger("trojan_3x3", 32, 0).stamp(_black())[0]
    assert stamped[:, 25, 25].tolist() == [207, 131, 181]
    assert stamped[:, 26, 27].tolist() == [248, 113, 146]
    assert stamped[:, 27, 25].tolist() == [131, 40, 4]
    assert _touched(stamped[None]) == ([25, 26, 27], [25, 26, 27])


def test_l0_inv_replaces_the_end_of_the_last_row():
    trigger = make_trigger("l0_inv", 32, 0)
    stamped = trigger.stamp(torch.full_like(_black(), 77))[0]
    assert stamped[:, 31, 23].tolist() == [0, 0, 0]
    assert stamped[:, 31, 24].tolist() == [255, 0, 255]
    assert stamped[:, 31, 30].tolist() == [255, 0, 0]
    assert trigger.mask_area == pytest.approx(9 / 1024)


def test_trap_5_the_negative_half_waves_of_sig_wrap_around():
    pattern = (make_trigger("sig", 32, 0).pattern * 255).round().int()
    row = pattern[0, 0]
    # The first values of the file that ABD's experiments used; one count of difference over all 32.
    expected = torch.tensor([0, 14, 19, 13, 255, 241, 237, 244, 2, 15, 19, 11, 253])
    assert (row[:13] - expected).abs().max() <= 1
    assert row.max() >= 253
    assert (pattern == row).all()


def test_trap_5_sig_blends_and_does_not_add():
    trigger = make_trigger("sig", 32, 0)
    stamped = trigger.stamp(torch.full_like(_black(), 200))[0, 0, 0]
    assert trigger.kind == "blend"
    assert stamped[0] == 160  # 0.8 * 200 + 0.2 * 0
    assert stamped[4] in (210, 211)  # 0.8 * 200 + 0.2 * 255


def test_the_ring_is_gray_and_leaves_the_middle_of_itself_free():
    pattern = make_trigger("ring", 32, 0).pattern
    assert pattern[0].equal(pattern[1])
    assert pattern[0].equal(pattern[2])
    assert pattern[0, 20, 21] == 0
    assert pattern[0, 20, 27] > 0


def test_stand_ins_for_published_triggers_say_so_in_their_name():
    assert {"blend", "trojan_wm", "trojan_8x8", "l2_inv", "smooth"}.isdisjoint(known_triggers())


def test_requests_are_checked_by_the_same_names():
    assert known_triggers() == TRIGGER_NAMES


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(RecipeError) as caught:
        make_trigger("blend", 32, 0)
    assert caught.value.code == "trigger_unknown"
    assert "blend_substitute" in caught.value.hint


def test_a_trigger_that_does_not_fit_is_refused():
    with pytest.raises(RecipeError) as caught:
        make_trigger("l0_inv", 8, 0)
    assert caught.value.code == "trigger_too_large"
