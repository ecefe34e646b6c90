from dataclasses import replace

import pytest
import torch

from models.architectures import StagedClassifier, build
from models.distillation.abd.perturbations import Perturbations
from models.distillation.losses import batch_divergence
from models.recipes.abd import RetrospectionRecipe
from models.recipes.architecture import ArchitectureSpec

UNIVERSAL = RetrospectionRecipe(
    synthesis="universal", rounds=10, perturbation_learning_rate=0.1, norm_penalty=0.001, projection_rms=None
)


def teacher() -> StagedClassifier:
    torch.manual_seed(0)
    network = build(ArchitectureSpec("wrn-10-1", 4, 8)).eval().requires_grad_(False)
    for module in network.modules():  # an untrained network hardly moves: make its answers depend on x
        if isinstance(module, torch.nn.Linear):
            module.weight.mul_(10)
    return network


def images() -> torch.Tensor:
    return torch.randn(32, 3, 8, 8, generator=torch.Generator().manual_seed(5))


def made(recipe: RetrospectionRecipe, classes: int = 4) -> Perturbations:
    result = Perturbations(recipe, classes, torch.Size([3, 8, 8]), torch.device("cpu"))
    result.restart(slice(None), torch.Generator().manual_seed(2))
    return result


def test_the_universal_perturbation_leaves_zero_and_beats_noise_of_its_length() -> None:  # trap 32
    perturbations, network, x = made(UNIVERSAL), teacher(), images()
    perturbations.climb(network, x, rounds=10)
    delta = perturbations.delta
    assert delta.abs().max() > 0.05
    noise = torch.randn(delta.shape, generator=torch.Generator().manual_seed(9))
    noise = noise * delta.norm() / noise.norm()
    found = batch_divergence(network(x), network(x + delta))
    assert found > 5 * batch_divergence(network(x), network(x + noise))


def test_from_zero_the_universal_ascent_has_no_gradient() -> None:  # trap 32: why the start is not zero
    network, x = teacher(), images()
    delta = torch.zeros(1, 3, 8, 8, requires_grad=True)
    (gradient,) = torch.autograd.grad(batch_divergence(network(x), network(x + delta)), delta)
    assert gradient.abs().max() < 1e-6


def test_the_norm_penalty_shortens_the_perturbation() -> None:
    lengths = []
    for penalty in (0.0, 10.0):
        perturbations = made(replace(UNIVERSAL, norm_penalty=penalty))
        perturbations.climb(teacher(), images(), rounds=10)
        lengths.append(float(perturbations.delta.norm()))
    assert lengths[1] < 0.5 * lengths[0]


def test_the_projection_bounds_the_root_mean_square() -> None:
    perturbations = made(replace(UNIVERSAL, projection_rms=0.3))
    perturbations.climb(teacher(), images(), rounds=10)
    assert float(perturbations.delta.square().mean().sqrt()) == pytest.approx(0.3, rel=1e-4)


def test_per_class_each_perturbation_leads_to_its_class() -> None:
    perturbations, network, x = made(RetrospectionRecipe(projection_rms=2.0)), teacher(), images()
    share = perturbations.climb(network, x, rounds=40)
    assert perturbations.delta.shape == (4, 3, 8, 8)
    reached = [
        float((network(x + shift).argmax(1) == label).float().mean())
        for label, shift in enumerate(perturbations.delta)
    ]
    assert min(reached) > 0.5
    assert share > 0.5


def test_more_classes_than_images_are_served_in_turns() -> None:
    perturbations = made(RetrospectionRecipe(), classes=20)
    played = torch.cat([perturbations.in_play(32, turn) for turn in range(3)])
    assert len(perturbations.in_play(32, 0)) == 8
    assert set(played.tolist()) == set(range(20))


def test_two_threads_climb_to_the_same_bits() -> None:
    class Linear(torch.nn.Module):
        """Deterministic by itself, so that only the shifts' own gradient is tested."""

        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.randn(3 * 16 * 16, 10, generator=torch.Generator().manual_seed(0))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (x.flatten(1)[:, :, None] * self.weight).sum(dim=1)

    x = torch.randn(128, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        reached = set()
        for _ in range(20):
            shifts = Perturbations(RetrospectionRecipe(), 10, x.shape[1:], x.device)
            shifts.restart(slice(None), torch.Generator().manual_seed(2))
            shifts.climb(Linear(), x, 3)
            reached.add(shifts.delta.numpy().tobytes())
    finally:
        torch.set_num_threads(threads)
    assert len(reached) == 1
