import pytest
import torch

from models.lab.reproduction.machine import machine

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("capabilities", "threads", "said"),
    [
        ({"cpu_name": "AMD EPYC", "avx512_bf16": True}, 1, "1 thread of AMD EPYC in bfloat16"),
        ({"cpu_name": "AMD EPYC", "avx512_bf16": False}, 2, "2 threads of AMD EPYC in float32"),
    ],
)
def test_processor_and_number_format_are_named(
    capabilities: dict[str, object], threads: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert machine(CPU) == f"{said}, torch {torch.__version__}"


def test_a_processor_that_torch_cannot_name_is_told_by_its_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert " of riscv64 in float32, " in machine(CPU)
