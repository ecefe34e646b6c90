import pytest
import torch
from torch import nn

from models.architectures import StagedClassifier, build
from models.distillation.abd.shuffling_vaccine import (
    ShuffledEnsemble,
    ShufflingVaccine,
    masked_mean,
    permute_input_channels,
    shuffle_divergence,
    shuffled_layers,
    suspicion_mask,
)
from models.recipes.abd import VaccineRecipe
from models.recipes.architecture import ArchitectureSpec


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def teacher(name: str = "wrn-10-1") -> StagedClassifier:
    torch.manual_seed(0)
    return build(ArchitectureSpec(name, 4, 8)).eval().requires_grad_(False)


def ensemble(network: StagedClassifier, members: int = 2) -> ShuffledEnsemble:
    made = ShuffledEnsemble(network, members, None)
    made.shuffle(generator())
    return made


def test_input_channels_move_the_same_way_for_all_filters() -> None:  # trap 27
    convolution = nn.Conv2d(6, 5, 3)
    before = convolution.weight.detach().clone()
    permute_input_channels(convolution, generator())
    order = [int((convolution.weight[0, c] == before[0]).flatten(1).all(1).nonzero()) for c in range(6)]
    assert sorted(order) == list(range(6))
    assert order != list(range(6))
    assert torch.equal(convolution.weight.detach(), before[:, order])


def test_groups_are_permuted_within_themselves() -> None:  # trap 27
    convolution = nn.Conv2d(8, 4, 1, groups=2)
    before = convolution.weight.detach().clone()
    permute_input_channels(convolution, generator(1))
    after = convolution.weight.detach()
    assert not torch.equal(after, before)
    assert torch.equal(after.sort(dim=1).values, before.sort(dim=1).values)


def test_a_depthwise_convolution_is_not_left_as_it_is() -> None:  # trap 27
    convolution = nn.Conv2d(8, 8, 3, groups=8)
    before = convolution.weight.detach().clone()
    permute_input_channels(convolution, generator())
    assert not torch.equal(convolution.weight.detach(), before)


def test_only_the_last_stage_changes_by_default_and_batchnorm_never() -> None:
    network = teacher()
    member = ensemble(network).copies[0]
    changed = {
        name
        for name, tensor in network.state_dict().items()
        if not torch.equal(tensor, member.state_dict()[name])
    }
    assert changed == {f"block3.layer.0.{name}.weight" for name in ("conv1", "conv2", "convShortcut")}


def test_layers_are_found_by_type_in_a_network_without_conv_in_its_names() -> None:  # trap 28
    network = teacher("vgg-small-elu")
    assert not any("conv" in name for name in network.state_dict())
    assert len(shuffled_layers(network, None)) == 2
    assert len(shuffled_layers(network, 5)) == 5
    assert shuffled_layers(network, -1) == [network.features[0]]
    assert shuffled_layers(network, 0) == []


def test_a_reshuffle_starts_from_the_intact_teacher() -> None:  # trap 29
    network = teacher()
    intact = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    made = ensemble(network)
    made.shuffle(generator(1))
    once = ShuffledEnsemble(network, 2, None)
    once.shuffle(generator(1))
    assert torch.equal(
        made.copies[1].block3.layer[0].conv1.weight, once.copies[1].block3.layer[0].conv1.weight
    )
    assert all(torch.equal(tensor, intact[name]) for name, tensor in network.state_dict().items())


def test_logits_are_averaged_in_eval_mode_whatever_mode_was_set() -> None:  # trap 30
    made = ensemble(teacher())
    x = torch.randn(4, 3, 8, 8)
    expected = torch.stack([member(x) for member in made.copies]).mean(0)
    for member in made.copies:
        member.train()
    torch.testing.assert_close(made.logits(x), expected, rtol=0.05, atol=0.05)  # bfloat16 where it pays
    assert not any(member.training for member in made.copies)


@pytest.mark.parametrize("name", ["wrn-10-1", "vgg-small-elu"])
def test_what_the_copies_have_in_common_with_the_teacher_may_be_computed_once(name: str) -> None:
    network = teacher(name)
    made = ensemble(network)
    made.fast = False
    x = torch.randn(4, 3, 8, 8, generator=generator(3))
    expected = torch.stack([member(x) for member in made.copies]).mean(0)
    torch.testing.assert_close(made.logits(x), expected)
    torch.testing.assert_close(made.logits(x, network.forward_stages(x).stages), expected)
    assert not torch.allclose(expected, network(x))


def test_the_regularizer_reaches_the_images_through_given_stages_too() -> None:
    network = teacher()
    made = ensemble(network)
    made.fast = False
    vaccine = ShufflingVaccine(made, VaccineRecipe(), weight=1.0)
    gradients = []
    for share in (False, True):
        x = torch.randn(16, 3, 8, 8, generator=generator(3)).requires_grad_(True)
        outputs = network.forward_stages(x)
        term = vaccine.generator_term(x, outputs.logits, outputs.stages if share else ())
        gradients.append(torch.autograd.grad(term, x)[0])
    assert gradients[0].any()
    torch.testing.assert_close(gradients[1], gradients[0])


def test_trap_25_copies_made_before_a_hook_do_not_carry_it() -> None:  # and trap 26: nor do they fire it
    network = teacher()
    made = ensemble(network)
    fired: list[int] = []
    network.block1.register_forward_hook(lambda *_: fired.append(1))
    x = torch.randn(2, 3, 8, 8, generator=generator(3))
    made.logits(x)
    assert not fired
    assert not any(module._forward_hooks for copy in made.copies for module in copy.modules())


def test_one_step_along_the_regularizer_makes_the_teachers_differ_more() -> None:  # trap 15
    network = teacher()
    made = ensemble(network)
    made.fast = False
    vaccine = ShufflingVaccine(made, VaccineRecipe(), weight=1.0)
    images = torch.randn(64, 3, 8, 8, generator=generator(3)).requires_grad_(True)
    term = vaccine.generator_term(images, network(images))
    mask = suspicion_mask(network(images), made.logits(images))
    assert mask.any()
    assert term.item() < 0
    (gradient,) = torch.autograd.grad(term, images)
    moved = (images - 10.0 * gradient).detach()

    def mean_divergence(x: torch.Tensor) -> float:
        divergence = shuffle_divergence(network(x), made.logits(x), "teacher_reference")
        return masked_mean(divergence, mask).item()

    assert mean_divergence(moved) > mean_divergence(images.detach())
    assert not gradient[~mask].any()


def test_the_direction_of_the_divergence_can_be_turned() -> None:
    a, b = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 0.0]])
    forward = shuffle_divergence(a, b, "teacher_reference")
    torch.testing.assert_close(forward, shuffle_divergence(b, a, "shuffled_reference"))
    assert not torch.equal(forward, shuffle_divergence(a, b, "shuffled_reference"))


def test_an_empty_mask_gives_a_zero_tensor() -> None:  # trap 16
    values = torch.ones(3, requires_grad=True)
    mean = masked_mean(values, torch.zeros(3, dtype=torch.bool))
    assert mean.item() == 0.0
    mean.backward()


class FixedEnsemble:
    """Names the class it is told to."""

    def __init__(self, labels: list[int]) -> None:
        self.answer = nn.functional.one_hot(torch.tensor(labels), 2).float()

    def logits(self, x: torch.Tensor, stages: tuple[torch.Tensor, ...] = ()) -> torch.Tensor:
        return self.answer


def split(labels: list[int], losses: list[float], bound: float = 10.0) -> torch.Tensor:
    vaccine = ShufflingVaccine(FixedEnsemble(labels), VaccineRecipe(split_bound=bound), weight=0.1)  # type: ignore[arg-type]
    teacher_logits = torch.tensor([[0.0, 1.0]] * len(labels))
    return vaccine.student_loss(torch.zeros(1), teacher_logits, torch.tensor(losses))


def test_the_split_subtracts_suspicious_samples() -> None:
    assert split([0, 0, 1], [1.0, 3.0, 4.0]).item() == torch.tensor(2.0 - 0.1 * 4.0).item()


def test_the_negative_term_is_bounded() -> None:  # trap 19
    assert split([0, 1], [1.0, 1e9]).item() == split([0, 1], [1.0, 10.0]).item()


def test_a_batch_of_suspicious_samples_only_is_finite() -> None:  # trap 19
    assert torch.isfinite(split([1, 1], [1.0, 2.0]))
