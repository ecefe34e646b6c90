import pytest
import torch

from models.engine.precision import bfloat16_pays


@pytest.mark.parametrize(("major", "pays"), [(7, False), (8, True), (9, True)])
def test_a_gpu_that_only_emulates_bfloat16_computes_in_float32(major, pays, monkeypatch):
    class Properties:
        pass

    Properties.major = major
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: Properties)
    monkeypatch.setattr(torch.cuda, "_check_bf16_tensor_supported", lambda _: True)
    assert bfloat16_pays(torch.device("cuda")) is pays
