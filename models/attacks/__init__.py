"""Attacks, so that defenses can be measured against teachers whose trigger is known."""

from models.attacks.poison import poison_clean_label, poison_dirty_label

__all__ = ["poison_clean_label", "poison_dirty_label"]
