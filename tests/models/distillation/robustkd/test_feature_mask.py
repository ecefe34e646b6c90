import pytest
import torch

from models.distillation.robustkd.feature_mask import FeatureMask


def means() -> list[torch.Tensor]:
    return [torch.full((2, 3, 3), 2.0), torch.full((4, 1, 1), -1.0)]


def test_add_mode_adds_the_masked_replacement() -> None:
    mask = FeatureMask(means(), threshold=0.2, mode="add")
    torch.testing.assert_close(mask(0, torch.ones(5, 2, 3, 3)), torch.full((5, 2, 3, 3), 1.4))


def test_blend_mode_also_shrinks_the_feature() -> None:
    mask = FeatureMask(means(), threshold=0.2, mode="blend")
    torch.testing.assert_close(mask(0, torch.ones(5, 2, 3, 3)), torch.full((5, 2, 3, 3), 1.2))


def test_edit_keeps_the_features_number_format() -> None:
    mask = FeatureMask(means(), threshold=0.2, mode="blend")
    assert mask(1, torch.ones(5, 4, 1, 1, dtype=torch.bfloat16)).dtype == torch.bfloat16


def test_clamp_holds_masks_between_zero_and_the_threshold() -> None:
    mask = FeatureMask(means(), threshold=0.1, mode="add")
    with torch.no_grad():
        mask.masks[0][0].fill_(5.0)
        mask.masks[0][1].fill_(-5.0)
    mask.clamp_()
    assert mask.masks[0][0].unique().tolist() == pytest.approx([0.1])
    assert mask.masks[0][1].unique().tolist() == [0.0]


def test_trap_44_masks_still_train_after_the_first_clamp() -> None:
    mask = FeatureMask(means(), threshold=0.2, mode="add")
    optimizer = torch.optim.Adam(mask.parameters(), lr=0.01)
    seen = []
    for _ in range(3):
        optimizer.zero_grad()
        mask(0, torch.ones(1, 2, 3, 3)).square().sum().backward()
        optimizer.step()
        mask.clamp_()
        seen.append(mask.masks[0][0, 0, 0].item())
    assert 0.2 > seen[0] > seen[1] > seen[2] > 0.0


def test_trap_41_gradient_reaches_masks_and_replacements_but_needs_no_detach_of_the_feature() -> None:
    mask = FeatureMask(means(), threshold=0.2, mode="blend")
    mask(0, torch.ones(1, 2, 3, 3)).sum().backward()
    assert mask.masks[0].grad is not None
    assert mask.replacements[0].grad is not None
    assert mask.masks[0].grad.abs().min() > 0


def test_stages_before_the_first_edited_one_pass_as_they_are() -> None:
    mask = FeatureMask(means(), threshold=0.2, mode="add", first=1)
    feature = torch.ones(5, 2, 3, 3)
    assert mask(0, feature) is feature
    assert len(mask.masks) == 1


def test_edit_of_the_last_stage_alone_uses_that_stages_tensors() -> None:
    """The published code takes list entries first, second-to-last and last, whatever the list holds."""
    mask = FeatureMask(means(), threshold=0.5, mode="add", first=1)
    torch.testing.assert_close(mask(1, torch.ones(5, 4, 1, 1)), torch.full((5, 4, 1, 1), 0.5))


def test_trap_45_features_of_another_size_are_refused_even_where_they_would_broadcast() -> None:
    mask = FeatureMask(means(), threshold=0.5, mode="add")
    with pytest.raises(ValueError, match="Stage 1"):
        mask(1, torch.ones(5, 4, 2, 2))
