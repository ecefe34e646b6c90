import pytest
import torch
from torch import nn

from models.engine.frozen import frozen, still_batchnorm
from models.errors import TrainingFailed


def network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))


def test_frozen_holds_eval_mode_and_no_gradients_and_gives_both_back() -> None:  # trap 21
    net = network().train()
    net[0].weight.requires_grad_(False)
    with frozen(net):
        assert not net[1].training
        assert not any(p.requires_grad for p in net.parameters())
    assert net[1].training
    assert [p.requires_grad for p in net.parameters()] == [False, True, True, True]


def test_frozen_lets_gradients_reach_the_input() -> None:
    net = network()
    x = torch.randn(2, 3, 2, 2, requires_grad=True)
    with frozen(net):
        net(x).sum().backward()
    assert x.grad is not None


def test_frozen_notices_a_moved_buffer() -> None:
    net = network()
    with pytest.raises(TrainingFailed) as caught, frozen(net):
        net[1].train()
        net(torch.randn(2, 3, 2, 2))
    assert caught.value.code == "teacher_changed"


def test_still_batchnorm_keeps_buffers_in_train_mode_and_uses_batch_statistics() -> None:  # trap 22
    net = network().train()
    before = {name: buffer.clone() for name, buffer in net.named_buffers()}
    with still_batchnorm(net):
        out = net(torch.randn(64, 3, 4, 4) + 5)
    assert all(torch.equal(buffer, before[name]) for name, buffer in net.named_buffers())
    assert out.mean().abs() < 1e-4
    net(torch.randn(64, 3, 4, 4) + 5)
    assert not torch.equal(net[1].running_mean, before["1.running_mean"])


def test_still_batchnorm_lets_nothing_else_train_and_restores_every_mode() -> None:
    net = nn.Sequential(*network(), nn.Dropout(), nn.Sequential(nn.Dropout())).train()
    net[2].eval()
    with still_batchnorm(net):
        assert [module.training for module in net] == [False, True, False, False]
        assert not net[3][0].training
    assert [module.training for module in net] == [True, True, False, True]
    assert net.training and net[3][0].training


def test_still_batchnorm_keeps_the_buffers_of_flat_features_too() -> None:
    net = nn.Sequential(nn.BatchNorm1d(3)).train()
    with still_batchnorm(net):
        net(torch.randn(8, 3) + 5)
    assert torch.equal(net[0].running_mean, torch.zeros(3))
