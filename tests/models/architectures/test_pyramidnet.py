import pytest
import torch

from models.architectures.pyramidnet import Unit, build_pyramidnet
from models.errors import RecipeError
from models.recipes.architecture import ArchitectureSpec
from models.recipes.blueprints.pyramid import pyramid


def _network(name: str, device: str = "meta"):
    torch.manual_seed(0)
    with torch.device(device):
        return build_pyramidnet(ArchitectureSpec(name, 10)).eval()


def test_widths_grow_by_the_same_amount_to_16_and_alpha():
    widths = [width for stage in pyramid("pyramidnet-110-270").widths for width in stage]
    assert widths == [16 + 5 * unit for unit in range(1, 55)]
    assert pyramid("pyramidnet-200-240").widths[2][-1] == 256


@pytest.mark.parametrize(
    ("name", "channels", "units"),
    [("pyramidnet-110-84", (44, 72, 100), 18), ("pyramidnet-200-240", (384, 704, 1024), 22)],
)
def test_stages_are_as_wide_as_their_last_unit(name, channels, units):
    network = _network(name)
    stages = network.forward_stages(torch.zeros(1, 3, 33, 33, device="meta")).stages
    assert network.stage_channels == channels
    assert [tuple(stage.shape[1:]) for stage in stages] == [
        (channels[0], 33, 33),
        (channels[1], 17, 17),
        (channels[2], 9, 9),
    ]
    assert len(network.layer(2)) == units


@pytest.mark.parametrize("bottleneck", [False, True])
def test_the_shortcut_pools_and_pads_with_zeros(bottleneck):
    unit = Unit(4, 6, 2, bottleneck).eval()
    x = torch.randn(1, 4, 5, 5)
    with torch.no_grad():
        (unit.bn4 if bottleneck else unit.bn3).weight.zero_()  # what is left is the shortcut
        out = unit(x)
    assert out.shape == (1, 24 if bottleneck else 6, 3, 3)
    torch.testing.assert_close(out[0, :4, 0, 0], x[0, :, :2, :2].mean(dim=(1, 2)))
    assert not out[:, 4:].any()


def test_margins_and_prerelu_of_the_last_stage_are_those_of_the_final_norm():
    network = _network("pyramidnet-110-48", "cpu")
    x = torch.randn(1, 64, 4, 4)
    assert network.margin_norm(2) is network.bn_final
    torch.testing.assert_close(network.prerelu(2, x), network.bn_final(x))
    assert len(network.stage_convolutions(0)) == 36


@pytest.mark.parametrize(
    ("name", "channels"), [("pyramidnet-110-48", (32, 48, 64)), ("pyramidnet-164-24", (24, 32, 160))]
)
def test_features_are_read_on_in_the_next_unit_without_moving_its_buffers(name, channels):  # traps 38 and 42
    """The raw sums were compared, which weigh the more, the more units a stage has."""
    network = _network(name, "cpu").train()
    x = torch.randn(2, network.stage_channels[1], 4, 4)
    for norm in (module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)):
        torch.nn.init.uniform_(norm.running_mean)
        torch.nn.init.uniform_(norm.running_var, 0.5, 2.0)
    before = {place: buffer.clone() for place, buffer in network.named_buffers()}
    feature = network.prerelu(1, x)
    assert network.feature_channels == channels
    assert feature.shape == (2, channels[1], 4, 4)
    assert all(torch.equal(buffer, before[place]) for place, buffer in network.named_buffers())
    unit = network.layer3[0].eval()
    expected = unit.bn2(unit.conv1(unit.bn1(x))) if unit.bottleneck else unit.bn1(x)
    torch.testing.assert_close(feature, expected)
    assert network.margin_norm(1) is (unit.bn2 if unit.bottleneck else unit.bn1)
    assert [network.is_rectified(index) for index in range(3)] == [unit.bottleneck, unit.bottleneck, True]


@pytest.mark.parametrize("name", ["pyramidnet-111-48", "pyramidnet-110-0", "pyramidnet-110"])
def test_other_names_are_refused(name):
    with pytest.raises(RecipeError) as caught:
        build_pyramidnet(ArchitectureSpec(name, 10))
    assert caught.value.code == "architecture_unknown"
