"""Random numbers: one seed in, named independent streams out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


def derive_seed(seed: int, stream: str) -> int:
    """Mix ``seed`` with the name of a stream, so that streams of one run are independent.

    ``seed + 1`` for a second stream would make two neighboring runs share numbers.
    """
    digest = hashlib.sha256(f"{seed}:{stream}".encode()).digest()
    return int.from_bytes(digest[:7], "big")


def make_generator(seed: int, stream: str, device: torch.device | str = "cpu") -> torch.Generator:
    """Make the random generator of one named stream of a run."""
    return torch.Generator(device=device).manual_seed(derive_seed(seed, stream))


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Let what draws from torch's global generators (initializations, dropout) draw from ``seed``.

    ``torch.manual_seed`` reaches the generators of all GPUs, so those are put back afterwards as the
    processor's is; else a network built in the midst of a run would have its dropout begin anew.
    """
    with torch.random.fork_rng(devices=_gpus()):
        torch.manual_seed(seed)
        yield


def generator_states() -> list[Tensor]:
    """Return the state of torch's global generators: of the processor, then of each GPU in use."""
    return [torch.get_rng_state(), *(torch.cuda.get_rng_state(index) for index in _gpus())]


def restore_generators(states: list[Tensor]) -> None:
    """Put back what ``generator_states`` returned; what belongs to GPUs that are not in use is left out."""
    torch.set_rng_state(states[0])
    for index, state in zip(_gpus(), states[1:], strict=False):
        torch.cuda.set_rng_state(state, index)


def _gpus() -> list[int]:
    return list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
