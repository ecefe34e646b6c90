"""Why a layer list is refused: every code, what it means, and what the user can do."""

from __future__ import annotations

from models.errors import CheckpointRejected

#: Meaning and hint by code; ``checkpoints.codes`` takes them into the table of all codes.
LAYER_LIST_CODES: dict[str, tuple[str, str]] = {
    "layers_invalid": (
        "The layer list is not JSON of the documented form; the place is named.",
        "Compare it with GET /v1/schemas/layer-list and docs/formats.md.",
    ),
    "layers_limit_exceeded": (
        "The layer list describes a network larger than the limits allow; the layer is named.",
        "Check the numbers of the layer; the limits are in docs/formats.md.",
    ),
    "layers_shape_mismatch": (
        "A layer of the list cannot take what the layers before it give.",
        "Check the layer and those before it; channels and sizes coming in follow from what comes before.",
    ),
    "layers_name_invalid": (
        "A layer's name is not made of letters, digits, dots, underscores and hyphens.",
        "Write the prefix of the layer's tensors as it is in the state dict, without the dot at its end.",
    ),
    "layers_name_repeated": (
        "Two layers of the list have the same name.",
        "Give each layer the prefix of its own tensors; one module that is used twice cannot be described.",
    ),
}


def refused(code: str, detail: str) -> CheckpointRejected:
    """Make the error for one refusal.

    Args:
        code: A key of ``LAYER_LIST_CODES``.
        detail: One sentence that names the layer by its path, such as ``layers[3].body[1]``.
    """
    return CheckpointRejected(detail, code=code, hint=LAYER_LIST_CODES[code][1])
