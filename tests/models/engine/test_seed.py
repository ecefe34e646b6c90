import torch

from models.engine.seed import derive_seed, make_generator


def test_streams_and_neighboring_seeds_are_independent() -> None:
    assert len({derive_seed(seed, stream) for seed in (0, 1) for stream in ("a", "b", "a 1")}) == 6


def test_equal_names_give_equal_numbers() -> None:
    draws = [torch.rand(3, generator=make_generator(7, "batch 2")) for _ in range(2)]
    assert torch.equal(*draws)
