from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional

from models.distillation.inversion.views import resized_view, shifted_view
from models.engine.determinism import deterministic


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


IMAGES = torch.rand(8, 3, 8, 8, generator=stream())


def test_a_shifted_image_is_the_image_elsewhere_and_black_around_it() -> None:
    views = shifted_view(IMAGES, padding=2, flip=False, generator=stream())
    padded = torch.nn.functional.pad(IMAGES, (2,) * 4)
    seen = set()
    for image, view in zip(padded, views, strict=True):
        places = [
            (row, column)
            for row in range(5)
            for column in range(5)
            if torch.allclose(image[:, row : row + 8, column : column + 8], view, atol=1e-5)
        ]
        assert len(places) == 1
        seen.add(places[0])
    assert len(seen) > 3


def test_half_of_the_images_are_mirrored_whole() -> None:
    views = shifted_view(IMAGES, padding=0, flip=True, generator=stream())
    mirrored = [torch.allclose(v, i.flip(-1), atol=1e-5) for v, i in zip(views, IMAGES, strict=True)]
    same = [torch.allclose(v, i, atol=1e-5) for v, i in zip(views, IMAGES, strict=True)]
    assert all(a != b for a, b in zip(mirrored, same, strict=True))
    assert 0 < sum(mirrored) < 8


def test_a_resized_view_shows_a_part_of_the_image_larger() -> None:
    ramp = torch.linspace(0.0, 1.0, 16).expand(64, 3, 16, 16)
    views = resized_view(ramp, flip=False, generator=stream())
    widths = views[:, 0, 8, -1] - views[:, 0, 8, 0]
    assert views.shape == ramp.shape
    assert widths.min() > 0.35
    assert widths.max() <= 1.0 + 1e-6
    assert widths.std() > 0.05


def test_gradients_reach_the_pixels_through_both_views() -> None:
    pixels = IMAGES.clone().requires_grad_(True)
    shifted_view(pixels, padding=1, flip=True, generator=stream()).sum().backward()
    assert pixels.grad is not None
    assert pixels.grad.abs().sum() > 0
    pixels.grad = None
    resized_view(pixels, flip=True, generator=stream()).sum().backward()
    assert pixels.grad.abs().sum() > 0  # type: ignore[attr-defined]


def test_equal_streams_give_equal_views() -> None:
    for view in (
        lambda seed: shifted_view(IMAGES, padding=2, flip=True, generator=stream(seed)),
        lambda seed: resized_view(IMAGES, flip=True, generator=stream(seed)),
    ):
        assert torch.equal(view(1), view(1))
        assert not torch.equal(view(1), view(2))


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("wanted", [True, False])
def test_a_gpus_views_are_sampled_where_their_gradient_repeats_itself_if_that_is_wanted(
    device: str, wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch has no such kernel for a GPU, and raises."""
    sampled = []
    sample = functional.grid_sample

    def watched(pixels: torch.Tensor, grid: torch.Tensor, **options: Any) -> torch.Tensor:
        sampled.append((pixels.device.type, grid.device.type))
        return sample(pixels, grid, **options)

    monkeypatch.setattr(functional, "grid_sample", watched)
    generator = stream()
    with deterministic(wanted), FakeTensorMode():  # a GPU's tensors without a GPU
        pixels = torch.empty(4, 3, 8, 8, device=device)
        seen = shifted_view(pixels, padding=2, flip=True, generator=generator)
        seen = seen + resized_view(pixels, flip=True, generator=generator)
    where = "cpu" if wanted else device
    assert sampled == [(where, where)] * 2
    assert seen.device.type == device
