"""Triggers: what an attacker stamps on an image, as a value that can be applied, drawn and measured."""

from models.triggers.base import Trigger, TriggerKind
from models.triggers.catalog import known_triggers, make_trigger
from models.triggers.image_file import load_trigger_png, save_trigger_png
from models.triggers.pattern_files import find_trigger, named_triggers, picture_of, stand_in

__all__ = [
    "Trigger",
    "TriggerKind",
    "find_trigger",
    "known_triggers",
    "load_trigger_png",
    "make_trigger",
    "named_triggers",
    "picture_of",
    "save_trigger_png",
    "stand_in",
]
