"""SHA-256 beside other work: hashing takes half of the time that reading a checkpoint takes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

Buffer = bytes | memoryview


class Digester:
    """Computes digests at once, or, when it was started, in one thread while its owner goes on."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._pool: ThreadPoolExecutor | None = None

    def start(self) -> None:
        """Start the thread now: a sealed sandbox lets no new one begin."""
        self._pool = ThreadPoolExecutor(max_workers=1)
        self._pool.submit(bool).result()

    def begin(self, parts: Iterable[Buffer]) -> Callable[[], str]:
        """Begin to hash ``parts`` in order; they must stay as they are until the digest is asked for.

        Returns:
            What waits for the digest and gives it, in hex.
        """
        if self._pool is not None:
            return self._pool.submit(sha256_of, parts).result
        digest = sha256_of(parts)
        return lambda: digest


def sha256_of(parts: Iterable[Buffer]) -> str:
    """Return the SHA-256 of all parts after one another, in hex."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()
