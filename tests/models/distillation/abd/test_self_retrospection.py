import copy
from dataclasses import replace
from typing import Literal

import pytest
import torch
from torch import nn
from torch.nn import functional

from models.architectures import StagedClassifier, build
from models.distillation.abd.perturbations import Perturbations
from models.distillation.abd.self_retrospection import SelfRetrospection
from models.distillation.losses import batch_divergence
from models.errors import RecipeError
from models.recipes.abd import RetrospectionRecipe
from models.recipes.architecture import ArchitectureSpec

RECIPE = RetrospectionRecipe(images=16, rounds=2)
IMPLICIT = replace(RECIPE, gradient="implicit")


def network(seed: int) -> StagedClassifier:
    torch.manual_seed(seed)
    return build(ArchitectureSpec("wrn-10-1", 4, 8))


def images(count: int = 16) -> torch.Tensor:
    return torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(5))


def retrospection(recipe: RetrospectionRecipe = RECIPE, seed: int = 0) -> SelfRetrospection:
    teacher = network(1).eval().requires_grad_(False)
    return SelfRetrospection(teacher, network(2).train(), recipe, seed=seed)


def gradients(student: StagedClassifier) -> torch.Tensor:
    return torch.cat([p.grad.flatten() for p in student.parameters() if p.grad is not None])


def test_its_gradient_is_added_to_the_one_that_is_there() -> None:  # trap 33
    alone, joined = retrospection(), retrospection()
    alone.add_gradients(images(), 1.0)
    for parameter in joined.student.parameters():
        parameter.grad = torch.ones_like(parameter)
    joined.add_gradients(images(), 1.0)
    torch.testing.assert_close(gradients(joined.student), gradients(alone.student) + 1)


def test_weight_and_scale_multiply_the_gradient() -> None:
    one, three = (retrospection(replace(RECIPE, weight=weight)) for weight in (1.0, 6.0))
    one.add_gradients(images(), 1.0)
    three.add_gradients(images(), 0.5)
    torch.testing.assert_close(gradients(three.student), 3 * gradients(one.student))


def test_batchnorm_buffers_of_the_student_stand_still() -> None:  # trap 22
    retro = retrospection()
    before = {name: buffer.clone() for name, buffer in retro.student.named_buffers()}
    retro.add_gradients(images(), 1.0)
    assert all(torch.equal(buffer, before[name]) for name, buffer in retro.student.named_buffers())
    assert retro.student.training


def test_synthesis_on_the_student_leaves_its_buffers_and_mode() -> None:  # trap 22
    retro = retrospection(replace(RECIPE, synthesize_on="student"))
    before = {name: buffer.clone() for name, buffer in retro.student.named_buffers()}
    retro.add_gradients(images(), 1.0)
    assert all(torch.equal(buffer, before[name]) for name, buffer in retro.student.named_buffers())
    assert retro.student.training
    assert all(parameter.requires_grad for parameter in retro.student.parameters())


def test_the_choice_of_images_depends_on_its_own_seed_only() -> None:  # trap 35
    runs = []
    for global_seed in (1, 2):
        retro = retrospection()
        torch.manual_seed(global_seed)
        retro.add_gradients(images(), 1.0)
        runs.append(gradients(retro.student))
    assert torch.equal(*runs)
    other = retrospection(seed=9)
    other.add_gradients(images(), 1.0)
    assert not torch.equal(gradients(other.student), runs[0])


def test_a_small_batch_still_perturbs_one_image() -> None:  # trap 36
    retro = retrospection(replace(RECIPE, portion=0.02))
    retro.add_gradients(images(8), 1.0)
    assert retro.last["retrospection_loss"] > 0
    assert gradients(retro.student).any()


@pytest.mark.parametrize("gradient", ["first_order", "implicit"])
@pytest.mark.parametrize("shape", ["dense", "sparse"])
def test_following_the_gradient_makes_the_student_follow_perturbations_less(
    shape: Literal["dense", "sparse"], gradient: Literal["first_order", "implicit"]
) -> None:
    retro = retrospection(replace(RECIPE, portion=1.0, shape=shape, gradient=gradient, sweeps=2))
    x = images()
    with torch.no_grad():  # an untrained student's answers hardly depend on anything
        retro.student.fc.weight.mul_(10)
    optimizer = torch.optim.SGD(retro.student.parameters(), lr=0.02)
    retro.add_gradients(x, 1.0)
    assert retro.perturbations is not None
    delta = retro.perturbations.delta.clone()

    def followed(student: StagedClassifier) -> float:
        student = copy.deepcopy(student)
        with torch.no_grad():
            clean = student(x)
            return sum(batch_divergence(clean, student(x + shift)).item() for shift in delta)

    before = followed(retro.student)
    for _ in range(6):
        optimizer.step()
        optimizer.zero_grad()
        retro.add_gradients(x, 1.0)
    assert followed(retro.student) < 0.8 * before


@pytest.mark.parametrize(
    ("gradient", "computed"), [("implicit", torch.float32), ("first_order", torch.bfloat16)]
)
def test_trap_34_the_student_is_differentiated_twice_in_float32_only(
    gradient: Literal["first_order", "implicit"], computed: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("perturbations", "self_retrospection"):
        monkeypatch.setattr(f"models.distillation.abd.{module}.bfloat16_pays", lambda _: True)
    retro = retrospection(replace(RECIPE, gradient=gradient))
    seen: dict[str, set[torch.dtype]] = {"teacher": set(), "student": set()}
    for name, watched in (("teacher", retro.teacher), ("student", retro.student)):
        watched.conv1.register_forward_hook(lambda _, __, out, name=name: seen[name].add(out.dtype))
    retro.add_gradients(images(), 1.0)
    assert torch.bfloat16 in seen["teacher"]  # so the hooks would have seen it
    assert seen["student"] == {computed}


def test_first_order_is_the_implicit_gradient_without_what_goes_through_the_shifts() -> None:
    found = {}
    for name, recipe in {
        "first_order": RECIPE,
        "implicit": IMPLICIT,
        "no step": replace(IMPLICIT, step=1e-12),
        "long step": replace(IMPLICIT, step=1e3),
    }.items():
        retro = retrospection(recipe)
        retro.add_gradients(images(), 1.0)
        found[name] = gradients(retro.student)
    first = found["first_order"]
    torch.testing.assert_close(found["no step"], first, rtol=1e-4, atol=1e-6)
    assert 0 < (found["implicit"] - first).norm() < 0.01 * first.norm()
    assert (found["long step"] - first).norm() > 0.1 * first.norm()


def test_a_second_shape_does_not_weaken_the_first() -> None:
    losses = {}
    for shape in ("dense", "sparse", "both"):
        retro = retrospection(replace(RECIPE, images=32, rounds=5, shape=shape))
        with torch.no_grad():
            retro.student.fc.weight.mul_(10)
        seen = []
        for _ in range(8):
            retro.student.zero_grad()
            retro.add_gradients(images(32), 1.0)
            seen.append(float(retro.last["retrospection_loss"]))
        losses[shape] = sum(seen)
    assert losses["both"] == pytest.approx(losses["dense"] + losses["sparse"], rel=0.25)


def test_dropout_is_off_so_that_an_image_without_a_shift_is_answered_as_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    retro = retrospection()
    retro.student.fc = nn.Sequential(nn.Dropout(), retro.student.fc)
    monkeypatch.setattr(Perturbations, "restart", lambda *_: None)  # every shift is and stays 0
    monkeypatch.setattr(Perturbations, "climb", lambda *_: torch.zeros(()))
    retro.add_gradients(images(), 1.0)
    assert retro.last["retrospection_loss"].abs() < 1e-7
    assert all(module.training for module in retro.student.modules())


class Attention(nn.Module):
    """Features as eight tokens that look at each other."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = x.view(len(x), 1, 8, -1)
        return functional.scaled_dot_product_attention(tokens, tokens, tokens).flatten(1)


class Normalized(nn.Module):
    """Cosine similarity with an empty token: finite, as is its gradient, and the second one is not."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + functional.normalize(0.0 * x, dim=1)


class Once(nn.Module):
    """No module, so that nothing takes its place."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.hardsigmoid(x)


def with_head(layer: nn.Module, recipe: RetrospectionRecipe = IMPLICIT) -> SelfRetrospection:
    retro = retrospection(recipe)
    retro.student.fc = nn.Sequential(layer, retro.student.fc)
    return retro


@pytest.mark.parametrize("layer", [Attention(), nn.Hardsigmoid()])
def test_students_whose_fast_kernels_are_differentiable_once_learn(layer: nn.Module) -> None:
    retro = with_head(layer)
    retro.check(images())
    retro.add_gradients(images(), 1.0)
    assert gradients(retro.student).isfinite().all()
    assert retro.student.conv1.weight.grad.any()


@pytest.mark.parametrize("layer", [Once(), Normalized()])
def test_a_student_that_cannot_be_differentiated_twice_is_refused_beforehand(layer: nn.Module) -> None:
    retro = with_head(layer)
    before = {name: tensor.clone() for name, tensor in retro.student.state_dict().items()}
    with pytest.raises(RecipeError) as caught:
        retro.check(images())
    assert caught.value.code == "retrospection_impossible"
    assert "first_order" in caught.value.hint
    assert all(torch.equal(tensor, before[name]) for name, tensor in retro.student.state_dict().items())
    assert all(parameter.grad is None for parameter in retro.student.parameters())


@pytest.mark.parametrize("layer", [Once(), Normalized()])
def test_to_first_order_such_a_student_learns(layer: nn.Module) -> None:
    retro = with_head(layer, RECIPE)
    retro.check(images())
    retro.add_gradients(images(), 1.0)
    assert gradients(retro.student).isfinite().all()
    assert retro.student.conv1.weight.grad.any()
    assert retro.last["retrospection_skipped"] == 0


def test_a_gradient_that_is_not_finite_is_left_out_and_counted() -> None:
    retro, broken = retrospection(IMPLICIT), Normalized()
    for turn, head in enumerate([nn.Identity(), broken, nn.Identity(), broken]):
        retro.student.zero_grad()
        whole = retro.student.fc
        retro.student.fc = nn.Sequential(head, whole)
        retro.add_gradients(images(), 1.0)
        retro.student.fc = whole
        added = [parameter.grad for parameter in retro.student.parameters() if parameter.grad is not None]
        assert all(gradient.isfinite().all() for gradient in added)
        assert bool(added) == (turn % 2 == 0)
    assert retro.last["retrospection_skipped"] == 2
    assert retro.last["retrospection_loss"].isfinite()


def test_the_count_of_gradients_left_out_is_part_of_the_state() -> None:
    retro, again = with_head(Normalized()), retrospection(IMPLICIT)
    retro.add_gradients(images(), 1.0)
    again.load_state_dict(retro.state_dict())
    again.add_gradients(images(), 1.0)
    assert again.last["retrospection_skipped"] == 1
