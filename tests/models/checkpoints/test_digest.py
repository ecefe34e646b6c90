"""Digests beside other work, and at once: the same."""

from __future__ import annotations

import hashlib
import threading

import pytest

from models.checkpoints.digest import Digester

PARTS = [b"Pro", memoryview(b"ctor"), b""]
EXPECTED = hashlib.sha256(b"Proctor").hexdigest()


def test_without_a_thread_the_digest_is_made_at_once() -> None:
    before = threading.active_count()
    parts = iter(PARTS)
    digest = Digester().begin(parts)
    assert next(parts, None) is None
    assert (digest(), threading.active_count()) == (EXPECTED, before)


def test_a_started_one_works_beside_its_owner_in_one_thread() -> None:
    gate = threading.Event()

    def slow_parts():
        gate.wait(10)
        yield from PARTS

    digester = Digester()
    digester.start()
    threads = threading.active_count()
    first, second = digester.begin(slow_parts()), digester.begin(PARTS)
    gate.set()
    assert (first(), second()) == (EXPECTED, EXPECTED)
    assert threading.active_count() == threads


def test_what_fails_in_the_thread_is_raised_where_the_digest_is_asked_for() -> None:
    def broken():
        yield b"a"
        raise MemoryError

    digester = Digester()
    digester.start()
    with pytest.raises(MemoryError):
        digester.begin(broken())()
