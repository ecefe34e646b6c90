"""Random numbers: one seed in, named independent streams out."""

from __future__ import annotations

import hashlib

import torch


def derive_seed(seed: int, stream: str) -> int:
    """Mix ``seed`` with the name of a stream, so that streams of one run are independent.

    ``seed + 1`` for a second stream would make two neighboring runs share numbers.
    """
    digest = hashlib.sha256(f"{seed}:{stream}".encode()).digest()
    return int.from_bytes(digest[:7], "big")


def make_generator(seed: int, stream: str, device: torch.device | str = "cpu") -> torch.Generator:
    """Make the random generator of one named stream of a run."""
    return torch.Generator(device=device).manual_seed(derive_seed(seed, stream))
