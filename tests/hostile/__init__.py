"""Hostile files, as a catalogue that others can add to."""

from tests.hostile import archives, headers, pickles, polyglots, tensors, zips
from tests.hostile.catalog import CLASSES, HostileClass

__all__ = ["CLASSES", "HostileClass", "archives", "headers", "pickles", "polyglots", "tensors", "zips"]
