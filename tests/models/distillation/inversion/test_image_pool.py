import torch

from models.distillation.inversion.image_pool import ImagePool, quantized


def test_the_student_sees_images_as_bytes_keep_them() -> None:  # trap 4
    pixels = torch.rand(5, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    pool = ImagePool(4, torch.device("cpu"))
    pool.add(quantized(pixels))
    assert pool.images.dtype == torch.uint8
    batch = pool.batch(40, padding=0, flip=False, generator=torch.Generator().manual_seed(0))
    levels = batch * 255.0
    assert torch.allclose(levels, levels.round(), atol=1e-4)
    assert (batch[:, None] - pixels[None]).abs().amax(dim=(2, 3, 4)).min(
        dim=1
    ).values.max() <= 0.5 / 255 + 1e-6


def test_rounding_does_not_darken() -> None:  # a cast alone would cut
    assert quantized(torch.tensor([0.0, 0.999, 1.0])).tolist() == [0, 255, 255]


def test_the_pool_grows() -> None:
    pool = ImagePool(4, torch.device("cpu"))
    for _ in range(2):
        pool.add(torch.zeros(3, 3, 4, 4, dtype=torch.uint8))
    assert len(pool) == 6
