import json

import torch

from models.engine.monitor import ResumeState
from models.engine.resume import pack, unpack


def test_an_optimizers_state_survives_json() -> None:
    parameter = torch.nn.Parameter(torch.ones(2))
    adam = torch.optim.Adam([parameter], lr=0.3)
    parameter.grad = torch.ones(2)
    adam.step()
    packed = pack({"adam": adam.state_dict(), "nothing": None})
    restored = unpack(ResumeState(packed.tensors, json.loads(json.dumps(packed.values))))
    other = torch.optim.Adam([torch.nn.Parameter(torch.ones(2))], lr=0.1)
    other.load_state_dict(restored["adam"])
    assert other.param_groups[0]["lr"] == 0.3
    assert torch.equal(other.state_dict()["state"][0]["exp_avg"], adam.state_dict()["state"][0]["exp_avg"])
    assert restored["nothing"] is None


def test_a_packed_state_does_not_change_with_the_original() -> None:
    weight = torch.zeros(2)
    packed = pack({"weight": weight})
    weight += 1
    assert not unpack(packed)["weight"].any()
