import io

import numpy as np
import pytest
import torch
from PIL import Image

from models.errors import DataRejected
from models.triggers import load_trigger_png, make_trigger, save_trigger_png
from tests.hostile.craft import png, png_chunk


def _png(array, format="PNG", mode=None):
    buffer = io.BytesIO()
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(buffer, format=format)
    return buffer.getvalue()


def _load(data, **changes):
    arguments = {"kind": "replace", "opacity": 1.0, "target_label": 2, "name": "given", "size": 32}
    return load_trigger_png(data, **(arguments | changes))


def test_alpha_becomes_the_mask_and_color_the_pattern():
    array = np.zeros((32, 32, 4), dtype=np.uint8)
    array[3, 5] = (255, 0, 51, 255)
    trigger = _load(_png(array))
    assert trigger.mask.sum() == 1
    assert trigger.mask[0, 3, 5] == 1
    assert trigger.pattern[:, 3, 5].tolist() == pytest.approx([1.0, 0.0, 0.2])


def test_opacity_scales_the_mask():
    assert _load(
        _png(np.full((32, 32, 4), 255, np.uint8)), kind="blend", opacity=0.2
    ).mask.max() == pytest.approx(0.2)


def test_a_picture_without_alpha_covers_everything():
    assert _load(_png(np.zeros((32, 32, 3), np.uint8))).mask.min() == 1


@pytest.mark.parametrize("name", ["ring", "badnets_grid", "sig", "l0_inv"])
def test_a_saved_trigger_stamps_the_same_when_read_back(name):
    trigger = make_trigger(name, 32, 2)
    images = torch.randint(0, 256, (8, 3, 32, 32), dtype=torch.uint8)
    again = _load(save_trigger_png(trigger), kind=trigger.kind)
    assert again.stamp(images).equal(trigger.stamp(images))


def test_another_size_is_resized_and_hidden_color_does_not_bleed_in():
    array = np.zeros((64, 64, 4), dtype=np.uint8)
    array[..., :3] = (0, 255, 0)  # green where it is transparent
    array[40:60, 40:60] = (255, 0, 0, 255)
    trigger = _load(_png(array))
    visible = trigger.mask[0] > 0.01
    assert trigger.size == (32, 32)
    assert trigger.pattern[1][visible].max() < 1e-5
    assert trigger.mask[0, 25, 25] == 1


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not an image",
        _png(np.zeros((300, 10, 3), np.uint8)),
        _png(np.zeros((32, 32, 3), np.uint8), format="BMP"),
        _png(np.zeros((32, 32, 3), np.uint8))[:60],
        b"\x89PNG" + bytes(2_000_000),
    ],
    ids=["empty", "text", "too large", "bmp", "truncated", "too many bytes"],
)
def test_what_is_not_a_small_png_is_refused(data):
    with pytest.raises(DataRejected) as caught:
        _load(data)
    assert caught.value.code == "trigger_image_invalid"
    assert caught.value.hint


def test_sixteen_bits_of_gray_are_refused_and_not_clipped():
    with pytest.raises(DataRejected, match="16 bits") as caught:
        _load(_png(np.full((32, 32), 20_000, np.uint16)))
    assert caught.value.code == "trigger_image_invalid"


def test_rows_that_are_missing_are_not_taken_for_black_ones():
    """Pillow paints them: half of a white square would be measured as a black and white one."""
    white = (b"\0" + b"\xff" * 96) * 32
    assert _load(png(32, 32, pixels=white)).pattern.min() == 1
    with pytest.raises(DataRejected, match="not all of its rows") as caught:
        _load(png(32, 32, pixels=white[: len(white) // 2]))
    assert caught.value.code == "trigger_image_invalid"


def test_a_wrong_checksum_is_damage():
    content = bytearray(png(32, 32, pixels=(b"\0" + b"\xff" * 96) * 32))
    content[-14] ^= 1
    with pytest.raises(DataRejected):
        _load(bytes(content))


def test_an_animated_picture_is_refused():
    frames = [Image.fromarray(np.full((32, 32, 3), value, np.uint8)) for value in (0, 255)]
    out = io.BytesIO()
    frames[0].save(out, format="PNG", save_all=True, append_images=frames[1:])
    with pytest.raises(DataRejected, match="animated"):
        _load(out.getvalue())


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_eight_bits_and_less_are_read_in_every_mode(mode):
    array = np.zeros((32, 32, 3), np.uint8)
    array[4:8] = 255
    trigger = _load(_png(array, mode=mode))
    assert trigger.pattern.equal(torch.from_numpy(array / np.float32(255)).permute(2, 0, 1))
    assert trigger.mask.min() == 1


def test_sixteen_bits_of_color_are_read_to_the_nearest_step():
    content = png(32, 32, bits=16, color=2, pixels=(b"\0" + b"\x4e\x20" * 96) * 32)
    assert _load(content).pattern.unique().tolist() == pytest.approx([20_000 / 65_535], abs=1 / 255)


@pytest.mark.parametrize("length", range(14))
@pytest.mark.parametrize("kind", [b"iCCP", b"tRNS", b"zTXt", b"PLTE", b"pHYs", b"acTL", b"fcTL"])
def test_a_broken_chunk_is_no_failure_of_ours(kind, length):
    content, chunk = png(32, 32, pixels=(b"\0" + bytes(96)) * 32), png_chunk(kind, bytes(length))
    for at in (33, len(content) - 12):  # behind the header, and behind the pixels
        try:
            _load(content[:at] + chunk + content[at:])
        except DataRejected as refused:
            assert refused.code == "trigger_image_invalid"


@pytest.mark.parametrize("opacity", [0.0, -1.0, 1.5, float("nan")])
def test_an_impossible_opacity_is_refused(opacity):
    with pytest.raises(DataRejected):
        _load(_png(np.zeros((32, 32, 4), np.uint8)), opacity=opacity)


def test_trap_5_a_large_picture_is_resized_with_antialiasing():
    board = (np.indices((256, 256)).sum(axis=0) % 2 * 255).astype(np.uint8)
    trigger = _load(_png(np.repeat(board[:, :, None], 3, axis=2)), kind="blend", opacity=0.2)
    # Nearest or plain bilinear sampling would keep single pixels of the board, at 0 or 1.
    assert trigger.pattern.min() > 0.4
    assert trigger.pattern.max() < 0.6
