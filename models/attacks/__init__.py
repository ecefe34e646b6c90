"""Attacks, so that defenses can be measured against teachers whose trigger is known."""

from models.attacks.poison import (
    poison_all_to_all,
    poison_clean_label,
    poison_dirty_label,
    poison_source_specific,
)

__all__ = ["poison_all_to_all", "poison_clean_label", "poison_dirty_label", "poison_source_specific"]
