import io
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from models.errors import DataRejected, RecipeError
from models.triggers import find_trigger, make_trigger, named_triggers


@pytest.fixture(scope="module")
def published() -> Path:
    default = Path(__file__).parents[3].parent / "shared" / "data"
    path = Path(os.environ.get("PROCTOR_SHARED_DATA", default)) / "triggers"
    if not path.is_dir():
        pytest.skip(f"no published trigger pictures at {path}; set PROCTOR_SHARED_DATA")
    return path


def bytes_of(path: Path) -> torch.Tensor:
    with Image.open(path) as image:
        return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)


def write_picture(folder: Path, name: str, pixels: np.ndarray) -> Path:
    Image.fromarray(pixels).save(folder / name)
    return folder


@pytest.mark.parametrize(
    ("name", "stand_in"),
    [("trojan_wm", "watermark_substitute"), ("smooth", "smooth_substitute"), ("sig", "sig")],
)
def test_without_its_picture_a_published_name_is_a_stand_in_by_its_own_name(tmp_path, name, stand_in):
    for patterns in (None, tmp_path):
        assert find_trigger(name, 32, 3, patterns).name == stand_in


def test_every_name_gives_a_trigger_that_changes_images():
    gray = torch.full((1, 3, 32, 32), 100, dtype=torch.uint8)
    assert not any(find_trigger(name, 32, 0).stamp(gray).equal(gray) for name in named_triggers())


def test_a_picture_of_the_right_size_is_taken_as_it_is(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    trigger = find_trigger("trojan_wm", 16, 2, write_picture(tmp_path, "trojan_wm.png", pixels))
    assert (trigger.name, trigger.kind, trigger.target_label) == ("trojan_wm", "additive", 2)
    black = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
    assert trigger.stamp(black)[0].permute(1, 2, 0).numpy().tolist() == pixels.tolist()


def test_trap_5_a_large_blend_picture_is_resized_with_antialiasing(tmp_path):
    stripes = np.zeros((540, 540, 3), np.uint8)
    stripes[:, ::2] = 255  # without antialiasing they would alias to black, white or broad stripes
    trigger = find_trigger("blend", 32, 0, write_picture(tmp_path, "blend.png", stripes))
    assert (trigger.pattern - 0.5).abs().max() < 0.05
    assert (trigger.mask == 0.2).all()


def test_triggers_that_are_known_exactly_are_not_blurred_at_another_size(tmp_path):
    write_picture(tmp_path, "trojan_3x3.png", np.zeros((32, 32, 3), np.uint8))
    assert find_trigger("trojan_3x3", 64, 0, tmp_path).pattern.equal(
        make_trigger("trojan_3x3", 64, 0).pattern
    )


@pytest.mark.parametrize("content", [b"no picture", b""])
def test_a_file_that_is_no_picture_is_refused(tmp_path, content):
    (tmp_path / "blend.png").write_bytes(content)
    with pytest.raises(DataRejected) as caught:
        find_trigger("blend", 32, 0, tmp_path)
    assert caught.value.code == "trigger_image_invalid"


def test_a_huge_picture_is_refused_before_it_is_decoded(tmp_path):
    out = io.BytesIO()
    Image.new("L", (2000, 2000)).save(out, "PNG")
    (tmp_path / "blend.png").write_bytes(out.getvalue())
    with pytest.raises(DataRejected):
        find_trigger("blend", 32, 0, tmp_path)


def test_an_unknown_name_is_refused():
    with pytest.raises(RecipeError) as caught:
        find_trigger("nope", 32, 0)
    assert caught.value.code == "trigger_unknown"
    assert all(name in caught.value.hint for name in named_triggers())  # the published ones, too


@pytest.mark.parametrize("name", ["trojan_3x3", "sig", "l0_inv"])
def test_the_catalog_is_the_published_picture_where_it_says_so(published, name):
    images = torch.randint(
        0, 256, (4, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    drawn, made = find_trigger(name, 32, 0, published), make_trigger(name, 32, 0)
    # The formula of sig misses one column of 32 by one level, a fifth of which is stamped.
    assert (drawn.stamp(images).int() - made.stamp(images).int()).abs().max() <= (name == "sig")


def test_the_place_of_l0_is_that_of_the_published_mask(published):
    mask = torch.from_numpy(np.load(published / "l0_inv_mask.npy")).float()
    assert find_trigger("l0_inv", 32, 0, published).mask.expand(3, -1, -1).equal(mask)


@pytest.mark.parametrize("name", ["trojan_wm", "trojan_8x8", "l2_inv"])
def test_published_additive_pictures_are_added_byte_by_byte(published, name):
    images = torch.full((1, 3, 32, 32), 200, dtype=torch.uint8)
    expected = (images[0].int() + bytes_of(published / f"{name}.png").int()).clamp(max=255)
    assert find_trigger(name, 32, 0, published).stamp(images)[0].int().equal(expected)


def test_trap_5_published_smooth_stretches_every_image_to_the_full_range(published):
    trigger = find_trigger("smooth", 32, 0, published)
    images = torch.randint(60, 200, (3, 3, 32, 32), generator=torch.Generator().manual_seed(0)).to(
        torch.uint8
    )
    stamped = trigger.stamp(images).flatten(1)
    assert trigger.name == "smooth"
    assert (stamped.amin(dim=1) == 0).all()
    assert (stamped.amax(dim=1) == 255).all()
