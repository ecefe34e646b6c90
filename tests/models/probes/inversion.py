"""Inversions that are cut short."""

import pytest

from models.probes import inverted_images


def shorten(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """Take a few steps: enough to see that images move, and too few for any to be the network's own."""
    monkeypatch.setattr(inverted_images, "STEPS", steps)
    monkeypatch.setattr(inverted_images, "_LEAST_NAMED", 0.0)
    monkeypatch.setattr(inverted_images, "_MOST_LEFT", float("inf"))
