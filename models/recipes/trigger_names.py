"""The names of the built-in triggers, for whoever checks a request and cannot import what draws them."""

from __future__ import annotations

#: What ``models.triggers.catalog.make_trigger`` takes, in its order.
TRIGGER_NAMES = (
    "badnets_square",
    "badnets_grid",
    "clean_label_corners",
    "trojan_3x3",
    "trojan_8x8_substitute",
    "l0_inv",
    "sig",
    "ring",
    "haze",
    "watermark_substitute",
    "blend_substitute",
    "l2_inv_substitute",
    "smooth_substitute",
)
