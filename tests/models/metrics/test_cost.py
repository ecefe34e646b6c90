import torch
from safetensors.torch import save

from models.architectures.wide_resnet import build_wide_resnet
from models.metrics import measure_cost
from models.recipes.architecture import ArchitectureSpec

SPEC = ArchitectureSpec("wrn-10-1", 10, 16)


def test_a_network_is_measured_without_being_changed():
    network = build_wide_resnet(SPEC).train()
    statistics = network.bn1.running_mean.clone()
    threads = torch.get_num_threads()
    cost = measure_cost(network, SPEC)
    assert cost.size_bytes == len(save(network.state_dict()))
    assert cost.parameters == sum(parameter.numel() for parameter in network.parameters())
    assert 0 < cost.latency_ms < 10_000
    assert network.training
    assert network.bn1.running_mean.equal(statistics)
    assert torch.get_num_threads() == threads
