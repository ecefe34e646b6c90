import pytest
import torch

from models.distillation.robustkd.feature_variance import image_variance, variance_loss


def test_image_variance_runs_over_channels_and_positions_of_each_image() -> None:
    feature = torch.zeros(2, 2, 1, 2)
    feature[0] = torch.tensor([1.0, 1.0, 3.0, 3.0]).view(2, 1, 2)
    assert image_variance(feature).tolist() == [1.0, 0.0]


def test_variance_over_the_image_sees_a_constant_offset_of_one_channel() -> None:
    feature = torch.zeros(4, 2, 1, 1)
    offset = torch.tensor([0.0, 2.0]).view(1, 2, 1, 1)
    assert variance_loss(feature + offset, "chw").item() == pytest.approx(1.0)


def test_variance_over_the_batch_is_blind_to_any_constant_offset() -> None:
    feature = torch.randn(8, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    offset = torch.arange(18.0).view(1, 2, 3, 3)
    torch.testing.assert_close(variance_loss(feature + offset, "batch"), variance_loss(feature, "batch"))


@pytest.mark.parametrize("axis", ["chw", "batch"])
def test_variance_of_bfloat16_features_is_computed_in_float32(axis: str) -> None:
    feature = 100.0 + torch.randn(8, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    half = feature.bfloat16()
    assert variance_loss(half, axis).dtype == torch.float32  # type: ignore[arg-type]
