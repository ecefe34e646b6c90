import pytest
import torch

from models.engine.seed import (
    derive_seed,
    generator_states,
    make_generator,
    restore_generators,
    seeded,
)


def test_streams_and_neighboring_seeds_are_independent() -> None:
    assert len({derive_seed(seed, stream) for seed in (0, 1) for stream in ("a", "b", "a 1")}) == 6


def test_equal_names_give_equal_numbers() -> None:
    draws = [torch.rand(3, generator=make_generator(7, "batch 2")) for _ in range(2)]
    assert torch.equal(*draws)


def test_a_seeded_block_draws_from_its_seed_and_leaves_the_global_generator_as_it_was() -> None:
    before = torch.get_rng_state()
    with seeded(3):
        first = torch.rand(2)
    with seeded(3):
        assert torch.equal(torch.rand(2), first)
    assert torch.equal(torch.get_rng_state(), before)


def test_gpus_in_use_are_forked_kept_and_restored_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """``torch.manual_seed`` reaches them all; dropout on a GPU draws there."""
    states = {0: torch.tensor([1], dtype=torch.uint8), 1: torch.tensor([2], dtype=torch.uint8)}
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda index: states[index])
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, index: states.__setitem__(index, state))
    kept = generator_states()
    assert len(kept) == 3
    states[1] = torch.tensor([9], dtype=torch.uint8)
    restore_generators(kept)
    assert int(states[1]) == 2
