"""torchvision's networks that are taken from torchvision itself: their names and how they end.

ResNets are not among them: those are built here (``blueprints.residual``), stages before the ReLU included.
"""

from __future__ import annotations

PREFIX = "torchvision-"

#: By torchvision's name: the last layer.
_HEADS: dict[str, tuple[str, ...]] = {
    "classifier": ("densenet121", "densenet161", "densenet169", "densenet201"),
    "classifier.1": (
        *(f"efficientnet_b{size}" for size in range(8)),
        *(f"efficientnet_v2_{size}" for size in "sml"),
        *(f"mnasnet{width}" for width in ("0_5", "0_75", "1_0", "1_3")),
        "mobilenet_v2",
        "squeezenet1_0",
        "squeezenet1_1",
    ),
    "classifier.2": tuple(f"convnext_{size}" for size in ("tiny", "small", "base", "large")),
    "classifier.3": ("mobilenet_v3_small", "mobilenet_v3_large"),
    "classifier.5": ("maxvit_t",),
    "classifier.6": ("alexnet",),
    "fc": (
        *(f"shufflenet_v2_x{width}" for width in ("0_5", "1_0", "1_5", "2_0")),
        *(f"regnet_x_{size}" for size in ("400mf", "800mf", "1_6gf", "3_2gf", "8gf", "16gf", "32gf")),
        *(
            f"regnet_y_{size}"
            for size in ("400mf", "800mf", "1_6gf", "3_2gf", "8gf", "16gf", "32gf", "128gf")
        ),
        "googlenet",
        "inception_v3",
    ),
    "head": tuple(f"swin_{version}{size}" for version in ("", "v2_") for size in "tsb"),
    "heads.head": ("vit_b_16", "vit_b_32", "vit_l_16", "vit_l_32", "vit_h_14"),
}

LIBRARY: dict[str, str] = {f"{PREFIX}{name}": head for head, names in _HEADS.items() for name in names}
"""The last layer of every member, by registry name."""

SIZE_STEPS: dict[str, int] = {
    f"{PREFIX}maxvit_t": 224,
    **{name: int(name.rpartition("_")[2]) for name in LIBRARY if name.startswith(f"{PREFIX}vit_")},
}
"""Networks that are built for one input size, and what it is a multiple of: 7 windows, or one patch."""

RENORMALIZING: tuple[str, ...] = (f"{PREFIX}googlenet", f"{PREFIX}inception_v3")
"""Networks whose published weights torchvision runs with ``transform_input``, a second normalization."""
