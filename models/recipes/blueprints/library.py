"""torchvision's networks that are taken from torchvision itself: their names and how they end.

ResNets are not among them: those are built here (``blueprints.residual``), stages before the ReLU included.
"""

from __future__ import annotations

PREFIX = "torchvision-"

#: By torchvision's name: the last linear layer.
_HEADS: dict[str, tuple[str, ...]] = {
    "classifier": ("densenet121", "densenet161", "densenet169", "densenet201"),
    "classifier.1": (
        *(f"efficientnet_b{size}" for size in range(8)),
        *(f"efficientnet_v2_{size}" for size in "sml"),
        *(f"mnasnet{width}" for width in ("0_5", "0_75", "1_0", "1_3")),
        "mobilenet_v2",
    ),
    "classifier.2": tuple(f"convnext_{size}" for size in ("tiny", "small", "base", "large")),
    "classifier.3": ("mobilenet_v3_small", "mobilenet_v3_large"),
    "classifier.6": ("alexnet",),
    "fc": tuple(f"shufflenet_v2_x{width}" for width in ("0_5", "1_0", "1_5", "2_0")),
}

LIBRARY: dict[str, str] = {f"{PREFIX}{name}": head for head, names in _HEADS.items() for name in names}
"""The last linear layer of every member, by registry name."""
