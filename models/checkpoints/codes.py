"""Why a checkpoint is refused: every code, what it means, and what the user can do.

The codes are part of the public contract; the HTTP documentation lists this table.
"""

from __future__ import annotations

from dataclasses import dataclass

from models.errors import CheckpointRejected
from models.recipes.layer_list.refusals import LAYER_LIST_CODES

_SAVE_WEIGHTS = (
    "Save the weights alone: torch.save(model.state_dict(), path), or safetensors.torch.save_file."
)
_SAVE_AGAIN = "Load the file where it was made and save model.state_dict() again, then upload that file."
_UPLOAD_AGAIN = "Compare the file's size or SHA-256 with the original and upload it again."


@dataclass(frozen=True, slots=True)
class Refusal:
    """One way to be refused."""

    meaning: str
    """One line for the documentation."""
    hint: str
    """What the user can do, unless the place that refuses knows better."""


CODES: dict[str, Refusal] = {
    "empty_file": Refusal("The file has no bytes.", _UPLOAD_AGAIN),
    "truncated_file": Refusal("The file ends before its own structure says it does.", _UPLOAD_AGAIN),
    "unsupported_format": Refusal("The file is of a known kind that is not a state dict.", _SAVE_WEIGHTS),
    "format_unknown": Refusal("The first bytes match no format this service knows.", _SAVE_WEIGHTS),
    "limit_exceeded": Refusal(
        "The file is larger, longer or has more parts than the limits allow.",
        "Save only the model's state_dict, without optimizer state; the operator can raise the limits.",
    ),
    "nested_too_deep": Refusal(
        "Containers lie inside each other deeper than any state dict needs.", _SAVE_WEIGHTS
    ),
    "zip_malformed": Refusal("The zip structure is not what torch.save writes.", _SAVE_AGAIN),
    "zip_overlap": Refusal("Zip members overlap, or bytes lie between or around them.", _SAVE_AGAIN),
    "zip_duplicate_name": Refusal("Two zip members have the same name.", _SAVE_AGAIN),
    "zip_compressed": Refusal(
        "A zip member is compressed or encrypted; torch.save stores members.", _SAVE_AGAIN
    ),
    "zip_checksum": Refusal("A zip member's CRC-32 does not match its bytes.", _UPLOAD_AGAIN),
    "zip_unexpected_member": Refusal("The zip holds a member that torch.save does not write.", _SAVE_AGAIN),
    "pickle_malformed": Refusal("The pickled part is not what torch.save writes.", _SAVE_AGAIN),
    "code_in_checkpoint": Refusal(
        "The file asks to call something that does not make tensors; it is named.",
        "If this checkpoint came from someone else, treat it as hostile. If it is yours, save "
        "model.state_dict() alone.",
    ),
    "whole_module": Refusal(
        "The file is a pickled module, which can only be loaded by running code.", _SAVE_WEIGHTS
    ),
    "tensor_kind_unsupported": Refusal(
        "A tensor is sparse, quantized, nested, complex or otherwise not plain and dense.",
        "Convert the weights to dense float32 before saving.",
    ),
    "dtype_unsupported": Refusal(
        "A tensor's data type is not accepted.",
        "Convert the weights to float16, bfloat16, float32 or float64.",
    ),
    "byte_order_unsupported": Refusal("The file was written on a big-endian machine.", _SAVE_AGAIN),
    "tensor_out_of_bounds": Refusal(
        "A tensor's shape, strides or offset reach outside its storage.", _SAVE_AGAIN
    ),
    "storage_missing": Refusal(
        "A tensor's bytes are not in the file, or bytes belong to no tensor.", _SAVE_AGAIN
    ),
    "storage_size_mismatch": Refusal("A storage has more or fewer bytes than declared.", _SAVE_AGAIN),
    "safetensors_malformed": Refusal("The safetensors header breaks the format's rules.", _SAVE_AGAIN),
    "duplicate_key": Refusal("One name is used twice in the same mapping.", _SAVE_AGAIN),
    "key_invalid": Refusal(
        "A tensor's name is not made of letters, digits, dots, underscores and hyphens, or is too long.",
        "Rename the parameters, then save the state dict again.",
    ),
    "not_finite": Refusal(
        "A weight is NaN or infinite, or would be as float32.",
        "The network diverged in training; take an earlier checkpoint.",
    ),
    "state_dict_not_found": Refusal("No mapping in the file holds tensors only.", _SAVE_WEIGHTS),
    "state_dict_ambiguous": Refusal(
        "Several mappings could be the model; they are named.", "Set state_dict_key to one of the names."
    ),
    "state_dict_key_not_found": Refusal(
        "The declared state_dict_key is not in the file, or is not a state dict.",
        "Set state_dict_key to one of the names in the detail; leave it out only if there is a single one.",
    ),
    "architecture_unknown": Refusal(
        "A name is that of no architecture, or the weights fit none in the registry.",
        "See the list of architectures, or describe a network of your own by a layer list (docs/formats.md).",
    ),
    "architecture_ambiguous": Refusal(
        "The weights fit several architectures; they are named.", "Declare the architecture by its name."
    ),
    "architecture_unavailable": Refusal(
        "The architecture is another library's, which is not installed or cannot build it in a usable form.",
        "Where the worker runs: pip install proctor[timm]; or choose an architecture of the registry.",
    ),
    "architecture_mismatch": Refusal(
        "The weights are not those of the architecture; up to 20 differences are listed.",
        "Leave the architecture out to have it inferred, or declare the one the weights were trained with.",
    ),
    **{code: Refusal(*words) for code, words in LAYER_LIST_CODES.items()},
    "normalization_invalid": Refusal(
        "The declared mean and standard deviation cannot be used.",
        "Give three means in [-10, 10] and three deviations in [0.001, 10], in units of pixels in [0, 1].",
    ),
    "outputs_not_finite": Refusal(
        "The network's outputs are NaN or infinite for ordinary images, although its weights are finite.",
        "Weights are too large, or a BatchNorm's running variance is negative; take an earlier checkpoint.",
    ),
    "canonical_changed": Refusal(
        "The stored canonical file is not the one that was inspected.", "Upload the checkpoint again."
    ),
    "parser_limit": Refusal(
        "Reading took more time or memory than a file of this size should.",
        "Save only the model's state_dict and upload that; the operator can raise the limits.",
    ),
    "parser_failed": Refusal("The reader stopped without an answer; the file was not used.", _SAVE_AGAIN),
}


def rejection(code: str, detail: str, *, hint: str = "") -> CheckpointRejected:
    """Make the error for one refusal.

    Args:
        code: A key of ``CODES``.
        detail: One sentence that names what was found.
        hint: Replaces the table's hint.
    """
    return CheckpointRejected(detail, code=code, hint=hint or CODES[code].hint)


def printable(text: str, *, length: int = 80) -> str:
    """Make a name from a hostile file safe to print: no control characters, bounded length."""
    clean = "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}"
        for character in text[: length + 1]
    )
    return clean if len(clean) <= length else clean[:length] + "…"
