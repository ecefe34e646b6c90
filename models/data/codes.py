"""Why an image archive is refused: every code, what it means, and what the user can do.

Part of the public contract, like ``checkpoints.codes``.
"""

from __future__ import annotations

from models.checkpoints.codes import Refusal
from models.errors import DataRejected

_ZIP_AGAIN = "Make the zip again with an ordinary tool, from a folder that holds only the images."
_CIFAR_AGAIN = "Upload the file as its authors publish it, or put the images into a zip archive."
_LAYOUT = "Use class/name.png for labelled images, or name.png for all images side by side without labels."

DATA_CODES: dict[str, Refusal] = {
    "empty_file": Refusal("The file has no bytes.", "Upload it again."),
    "data_format_unknown": Refusal(
        "The file is neither a zip archive, a PNG or JPEG image, nor one of CIFAR's python files.",
        "Put the images into a zip archive.",
    ),
    "data_limit_exceeded": Refusal(
        "The archive or an image is larger than the limits allow.",
        "Upload fewer or smaller images; a few thousand at the network's input size are plenty.",
    ),
    "archive_truncated": Refusal("The archive has no end where it should.", "Upload it again."),
    "archive_malformed": Refusal("The archive's structure is not what an ordinary tool writes.", _ZIP_AGAIN),
    "archive_overlap": Refusal("Zip members overlap, or bytes lie between or around them.", _ZIP_AGAIN),
    "archive_duplicate_name": Refusal("Two members have the same name on some file system.", _ZIP_AGAIN),
    "archive_encrypted": Refusal("A member is encrypted.", "Make the zip without a password."),
    "archive_compression": Refusal(
        "Something is neither stored nor deflated, or not as declared.", _ZIP_AGAIN
    ),
    "archive_checksum": Refusal("A checksum does not match the bytes it is for.", "Upload it again."),
    "archive_name": Refusal(
        "A member's name is absolute, leaves its folder or cannot be printed.", _ZIP_AGAIN
    ),
    "archive_member": Refusal(
        "A member is a link, a device or a file that has no place there; it is named.", _ZIP_AGAIN
    ),
    "archive_layout": Refusal(
        "Labelled images lie at different depths, or a class folder is empty: the classes are not clear.",
        _LAYOUT,
    ),
    "no_images": Refusal("There is no image in the archive.", _LAYOUT),
    "labels_missing": Refusal("Labelled images need at least two class folders.", _LAYOUT),
    "single_image": Refusal(
        "One image cannot be a set of clean images.",
        "Upload it with the role surrogate, or upload a zip of images.",
    ),
    "image_unreadable": Refusal(
        "An image cannot be decoded, or is not what its name says; it is named.",
        "Remove the image or save it again as an ordinary PNG or JPEG.",
    ),
    "archive_not_cifar": Refusal(
        "A tar is read only if it is CIFAR's: batches, and the names of the classes.",
        "Upload cifar-10-python.tar.gz or cifar-100-python.tar.gz, or put the images into a zip.",
    ),
    "batch_truncated": Refusal("A CIFAR batch ends in the middle of a value.", "Upload it again."),
    "batch_malformed": Refusal("A pickle is not of the form that CIFAR's batches have.", _CIFAR_AGAIN),
    "batch_code": Refusal(
        "A pickle asks to call something that makes no array of images; it is named.",
        "If this file came from someone else, treat it as hostile. The published batches ask for nothing of "
        "the kind.",
    ),
    "batch_labels": Refusal("A batch's labels do not fit its images or classes.", _CIFAR_AGAIN),
    "parser_limit": Refusal(
        "Reading took more time or memory than an archive of this size should.",
        "Upload fewer or smaller images.",
    ),
    "parser_failed": Refusal("The reader stopped without an answer; the file was not used.", _ZIP_AGAIN),
}


def data_rejection(code: str, detail: str) -> DataRejected:
    """Make the error for one refusal; ``code`` is a key of ``DATA_CODES``."""
    return DataRejected(detail, code=code, hint=DATA_CODES[code].hint)
