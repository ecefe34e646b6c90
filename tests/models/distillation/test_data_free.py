import json

import pytest
import torch
from torch import nn

from models.distillation.data_free import ScheduledAdam, ScheduledSgd
from models.engine.monitor import ResumeState
from models.engine.resume import pack, unpack


def parameter() -> nn.Parameter:
    return nn.Parameter(torch.ones(3))


def moved(optimizer: ScheduledAdam | ScheduledSgd, one: nn.Parameter, steps: int, start: int = 0) -> None:
    for index in range(start, start + steps):
        optimizer.zero_grad()
        one.square().sum().backward()
        optimizer.step(index)


@pytest.mark.parametrize("kind", [ScheduledAdam, ScheduledSgd])
def test_a_state_carries_moments_plan_and_kind(kind) -> None:
    whole, half = parameter(), parameter()
    one = kind([whole], 0.1, "cosine", 8)
    moved(one, whole, 8)
    first = kind([half], 0.1, "cosine", 8)
    moved(first, half, 4)
    second = kind([half], 0.5, "constant", 2)
    second.load_state_dict(first.state_dict())
    moved(second, half, 4, start=4)
    assert torch.equal(whole, half)


def test_sgd_has_momentum_and_weight_decay() -> None:
    one = parameter()
    planned = ScheduledSgd([one], 0.1, "cosine", 4, weight_decay=0.5)
    group = planned.optimizer.param_groups[0]
    assert isinstance(planned.optimizer, torch.optim.SGD)
    assert (group["momentum"], group["weight_decay"]) == (0.9, 0.5)


def test_a_plan_may_go_on_with_another_optimizer() -> None:
    one = parameter()
    planned = ScheduledSgd([one], 0.1, "cosine", 4)
    planned.plan(0.01, "cosine", 4, 2, kind="adam")
    assert isinstance(planned.optimizer, torch.optim.Adam)
    resumed = ScheduledSgd([one], 0.1, "cosine", 4)
    resumed.load_state_dict(planned.state_dict())
    assert isinstance(resumed.optimizer, torch.optim.Adam)


def weight() -> nn.Parameter:
    values = torch.randn(6, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    return nn.Parameter(values.contiguous(memory_format=torch.channels_last))


def gradient(step: int) -> torch.Tensor:
    """A gradient in the usual layout, as a hypergradient may be."""
    return torch.randn(6, 4, 3, 3, generator=torch.Generator().manual_seed(10 + step))


def take(optimizer: ScheduledAdam, parameter: nn.Parameter, steps: range) -> None:
    for step in steps:
        parameter.grad = gradient(step)
        optimizer.step(step)


@pytest.mark.parametrize("resumed", [False, True])
def test_the_fused_steps_are_adams_whatever_the_layout_of_gradients_and_resumed_moments(
    resumed: bool,
) -> None:
    parameter, reference = weight(), weight()
    optimizer = ScheduledAdam([parameter], 1e-2, "constant", 6)
    take(optimizer, parameter, range(3))
    if resumed:
        packed = pack(optimizer.state_dict())
        state = unpack(ResumeState(packed.tensors, json.loads(json.dumps(packed.values))))
        optimizer = ScheduledAdam([parameter], 0.5, "constant", 1)
        optimizer.load_state_dict(state)
    take(optimizer, parameter, range(3, 6))
    adam = torch.optim.Adam([reference], lr=1e-2, fused=False, foreach=False)
    for step in range(6):
        reference.grad = gradient(step)
        adam.step()
    torch.testing.assert_close(parameter, reference, rtol=0.0, atol=1e-6)
    assert not torch.equal(parameter, weight())
