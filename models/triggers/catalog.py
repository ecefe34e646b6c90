"""Triggers by name."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

from models.errors import RecipeError
from models.triggers import overlays, patches
from models.triggers.base import Trigger

_MAKERS: MappingProxyType[str, Callable[[int, int], Trigger]] = MappingProxyType(
    {
        "badnets_square": patches.badnets_square,
        "badnets_grid": patches.badnets_grid,
        "clean_label_corners": patches.clean_label_corners,
        "trojan_3x3": patches.trojan_3x3,
        "trojan_8x8_substitute": patches.trojan_8x8_substitute,
        "l0_inv": patches.l0_inv,
        "sig": overlays.sig,
        "ring": overlays.ring,
        "haze": overlays.haze,
        "watermark_substitute": overlays.watermark_substitute,
        "blend_substitute": overlays.blend_substitute,
        "l2_inv_substitute": overlays.l2_inv_substitute,
        "smooth_substitute": overlays.smooth_substitute,
    }
)


def known_triggers() -> tuple[str, ...]:
    """Return the names ``make_trigger`` takes.

    A name that ends in ``_substitute`` is of the kind of a published trigger, but not that trigger: its
    numbers must not be compared with the paper's.
    """
    return tuple(_MAKERS)


def make_trigger(name: str, size: int, target_label: int) -> Trigger:
    """Make a trigger of the catalog for square images.

    Args:
        name: One of ``known_triggers()``.
        size: Side of the images in pixels; positions are those of the 32x32 originals, scaled.
        target_label: Class the attacker wants.

    Raises:
        RecipeError: If the name is unknown (code ``trigger_unknown``) or the trigger does not fit
            (code ``trigger_too_large``).
    """
    if name not in _MAKERS:
        raise RecipeError(
            f"There is no trigger named {name!r}.",
            code="trigger_unknown",
            hint=f"Known triggers: {', '.join(_MAKERS)}.",
        )
    return _MAKERS[name](size, target_label)
