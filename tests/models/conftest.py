"""One number format for every machine that runs these tests."""

import pytest
import torch


@pytest.fixture(autouse=True)
def float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compute in float32 also where bfloat16 pays: what a few steps learn would depend on the processor."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
