import pytest
import torch
from torch import nn

from models.architectures import build
from models.architectures.clipped_norm import ClippedBatchNorm2d, clip_norms
from models.checkpoints.load import Teacher
from models.distillation.clipping.bounds import ChannelQuantiles, clipped, clipping_obstacle, last_stage_norms
from models.engine.seed import make_generator
from models.errors import RecipeError
from models.recipes.architecture import ArchitectureSpec, Normalization
from models.recipes.clip import ClipRecipe
from tests.models.distillation.small import images, teacher


def surrogate(count: int = 64) -> torch.Tensor:
    return teacher().pixel_classifier().normalize(images(count).float() / 255.0)


def quantiles(of: Teacher) -> ChannelQuantiles:
    return ChannelQuantiles(of, surrogate(), make_generator(0, "positions"))


def norm_outputs(network: nn.Module, x: torch.Tensor) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = {}
    norms = [(name, module) for name, module in network.named_modules() if isinstance(module, nn.BatchNorm2d)]
    handles = [
        m.register_forward_hook(lambda _m, _x, out, n=n: found.__setitem__(n, out.clone())) for n, m in norms
    ]
    with torch.no_grad():
        network(x)
    for handle in handles:
        handle.remove()
    return found


def test_a_quantile_is_that_of_the_channels_outputs() -> None:
    subject = teacher()
    taken = quantiles(subject)
    for name, output in norm_outputs(subject.network, surrogate()).items():
        expected = output.transpose(0, 1).flatten(1).quantile(0.9, dim=1, interpolation="higher")
        assert torch.allclose(taken.at(name, 0.9), expected, atol=1e-5)


def test_no_channel_of_the_first_norm_leaves_its_bounds_and_every_other_answer_stays_in_them() -> None:
    subject = teacher()
    taken = quantiles(subject)
    bounded = clipped(subject, taken, 0.9, ClipRecipe(sides="both"))
    for name, output in norm_outputs(bounded.network, 5.0 * surrogate()).items():
        ceiling, floor = taken.at(name, 0.9).view(1, -1, 1, 1), taken.at(name, 0.1).view(1, -1, 1, 1)
        assert (output <= ceiling).all()
        assert (output >= floor).all()


def test_only_the_upper_side_is_bounded_by_default() -> None:
    bounded = clipped(teacher(), quantiles(teacher()), 0.9, ClipRecipe())
    for module in bounded.network.modules():
        if isinstance(module, ClippedBatchNorm2d):
            assert torch.isfinite(module.ceiling).all()
            assert torch.isneginf(module.floor).all()


def test_the_teacher_stays_as_it_was() -> None:
    subject = teacher()
    before = {name: value.clone() for name, value in subject.network.state_dict().items()}
    answer = subject.network(surrogate())
    bounded = clipped(subject, quantiles(subject), 0.6, ClipRecipe())
    assert torch.equal(subject.network(surrogate()), answer)
    assert all(torch.equal(value, before[name]) for name, value in subject.network.state_dict().items())
    assert not torch.equal(bounded.network(surrogate()), answer)


def test_trap_25_no_hook_stays_to_be_copied() -> None:
    subject = teacher()
    quantiles(subject)
    assert not any(module._forward_hooks for module in subject.network.modules())


def test_trap_42_quantiles_are_those_before_a_relu_that_works_in_place() -> None:
    spec = ArchitectureSpec("resnet-18", 4, 32)
    subject = Teacher(build(spec).eval(), Normalization(), spec)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(8, 3, 32, 32, generator=generator)
    taken = ChannelQuantiles(subject, x, generator)
    assert (
        taken.at("network.bn1" if "network.bn1" in taken.sorted else next(iter(taken.sorted)), 0.51) < 0
    ).any()


def test_bounds_at_infinity_change_nothing_and_parameters_are_shared() -> None:
    subject = teacher().network
    x = surrogate(8)
    before = subject(x)
    names = {name for name, _ in subject.named_parameters()}
    assert clip_norms(subject)
    assert torch.equal(subject(x), before)
    assert {name for name, _ in subject.named_parameters()} == names


def test_the_last_stage_takes_its_own_norms_and_the_heads() -> None:
    names = last_stage_norms(teacher().network)
    assert names == {"block3.layer.0.bn2", "bn1"}
    bounded = clipped(teacher(), quantiles(teacher()), 0.9, ClipRecipe(where="last_stage"))
    finite = {
        name
        for name, module in bounded.network.named_modules()
        if isinstance(module, ClippedBatchNorm2d) and torch.isfinite(module.ceiling).all()
    }
    assert finite == names


def test_features_before_the_relu_are_bounded_too() -> None:
    bounded = clipped(teacher(), quantiles(teacher()), 0.9, ClipRecipe()).network
    stages = bounded.forward_stages(5.0 * surrogate(8)).stages
    ceiling = bounded.margin_norm(0).ceiling.view(1, -1, 1, 1)
    assert (bounded.prerelu(0, stages[0]) <= ceiling).all()


def test_a_network_without_batchnorm_is_refused() -> None:
    spec = ArchitectureSpec("torchvision-squeezenet1_1", 4, 32)
    subject = Teacher(build(spec).eval(), Normalization(), spec)
    with pytest.raises(RecipeError) as refused:
        ChannelQuantiles(subject, torch.zeros(2, 3, 32, 32), make_generator(0, "x"))
    assert refused.value.code == "clipping_impossible"


def test_a_norm_that_activates_is_refused_instead_of_losing_its_activation() -> None:
    """timm's BatchNormAct2d is a BatchNorm2d by inheritance."""

    class ActivatingNorm(nn.BatchNorm2d):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x).relu()

    subject = teacher()
    name, norm = next((n, m) for n, m in subject.network.named_modules() if isinstance(m, nn.BatchNorm2d))
    parent, _, child = name.rpartition(".")
    setattr(subject.network.get_submodule(parent), child, ActivatingNorm(norm.num_features))
    with pytest.raises(RecipeError, match="ActivatingNorm does more") as caught:
        quantiles(subject)
    assert caught.value.code == "clipping_impossible"


def test_timms_networks_that_activate_in_their_norms_are_known() -> None:
    timm = pytest.importorskip("timm", reason="timm is an optional extra")
    network = timm.create_model("mobilenetv3_small_050", pretrained=False)
    assert "BatchNormAct2d" in clipping_obstacle(network)
