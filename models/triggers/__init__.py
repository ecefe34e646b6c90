"""Triggers: what an attacker stamps on an image, as a value that can be applied, drawn and measured."""

from models.triggers.base import Trigger, TriggerKind
from models.triggers.catalog import known_triggers, make_trigger
from models.triggers.image_file import load_trigger_png, save_trigger_png

__all__ = [
    "Trigger",
    "TriggerKind",
    "known_triggers",
    "load_trigger_png",
    "make_trigger",
    "save_trigger_png",
]
