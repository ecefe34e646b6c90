import pytest
import torch

from models.architectures import build
from models.errors import RecipeError
from models.recipes.architecture import ArchitectureSpec


def network(name: str = "wrn-10-2", size: int = 8) -> torch.nn.Module:
    torch.manual_seed(0)
    return build(ArchitectureSpec(name, 4, size))


def test_wrn_16_1_has_the_published_number_of_parameters() -> None:
    assert sum(p.numel() for p in build(ArchitectureSpec("wrn-16-1", 10)).parameters()) == 175_066


def test_wrn_16_1_has_no_shortcut_convolution_in_its_first_block() -> None:  # trap 50
    names = set(build(ArchitectureSpec("wrn-16-1", 10)).state_dict())
    assert "block1.layer.0.convShortcut.weight" not in names
    assert "block2.layer.0.convShortcut.weight" in names


def test_the_shortcut_takes_the_activated_input() -> None:
    unit = network().block1.layer[0].eval()
    torch.nn.init.zeros_(unit.conv2.weight)
    x = torch.randn(2, 16, 8, 8)
    torch.testing.assert_close(unit(x), unit.convShortcut(torch.relu(unit.bn1(x))))


def test_forward_stages_agrees_with_forward() -> None:
    net = network().eval()
    x = torch.randn(2, 3, 8, 8)
    outputs = net.forward_stages(x)
    assert torch.equal(outputs.logits, net(x))
    assert [tuple(stage.shape[1:]) for stage in outputs.stages] == [(32, 8, 8), (64, 4, 4), (128, 2, 2)]


def test_an_edited_stage_is_returned_and_feeds_the_next() -> None:
    net = network().eval()
    outputs = net.forward_stages(torch.randn(2, 3, 8, 8), lambda index, s: s * 0 if index == 1 else s)
    assert not outputs.stages[1].any()
    assert torch.equal(outputs.stages[2], net.stage(2, outputs.stages[1]))


def test_prerelu_applies_the_next_batchnorm_without_moving_it() -> None:  # traps 38 and 42
    net = network().train()
    norm = net.block2.layer[0].bn1
    norm.running_mean.fill_(0.5)
    x = torch.randn(2, 32, 8, 8)
    feature = net.prerelu(0, x)
    torch.testing.assert_close(feature, (x - 0.5) / (1 + norm.eps) ** 0.5)
    assert (norm.running_mean == 0.5).all()


def test_the_last_stage_convolutions_are_those_of_block3_with_its_shortcut() -> None:  # trap 28
    net = build(ArchitectureSpec("wrn-16-2", 10))
    assert len(net.stage_convolutions(2)) == 5
    assert net.block3.layer[0].convShortcut in net.stage_convolutions(2)


@pytest.mark.parametrize("name", ["wrn-11-2", "wrn-4-1", "wrn-16-0", "wrn-16", "alexnet"])
def test_an_unknown_name_is_refused_with_a_hint(name: str) -> None:
    with pytest.raises(RecipeError) as caught:
        build(ArchitectureSpec(name, 10))
    assert caught.value.code == "architecture_unknown"
    assert caught.value.hint
