"""What a file is, told from its bytes and never from its name."""

from __future__ import annotations

import codecs
import re
from typing import Literal, TypeAlias

from models.checkpoints.codes import rejection

#: First bytes of the legacy format: a pickle, framed from protocol 4 on, of torch's magic number.
_LEGACY = re.compile(rb"(?s)\x80[\x02-\x05](\x95.{8})?\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\.")

Container: TypeAlias = Literal["zip", "torch_legacy", "safetensors", "pickle"]

_WEIGHTS = "save model.state_dict() with safetensors or torch.save"
_EXPORT_ONLY = f"This holds a program to run rather than weights: where the network was trained, {_WEIGHTS}."
_UNPACK = f"Unpack it and upload the checkpoint inside; if there is none, {_WEIGHTS}."
_OTHER_FRAMEWORK = f"Load it in its own framework, copy the weights into the PyTorch network, and {_WEIGHTS}."
_NOT_WEIGHTS = f"This is not a checkpoint: upload the file that torch.save wrote, or {_WEIGHTS}."

#: (offset, bytes, what it is, what to do). First match wins.
_SIGNATURES: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"\x1f\x8b", "a gzip archive", _UNPACK),
    (0, b"BZh", "a bzip2 archive", _UNPACK),
    (0, b"\xfd7zXZ\x00", "an xz archive", _UNPACK),
    (0, b"\x28\xb5\x2f\xfd", "a zstandard archive", _UNPACK),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (0, b"Rar!", "a RAR archive", _UNPACK),
    (257, b"ustar", "a tar archive", _UNPACK),  # a damaged one: a whole one is told by its checksum
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file, such as Keras writes", _OTHER_FRAMEWORK),
    (0, b"\x93NUMPY", "a NumPy array file (npy)", _OTHER_FRAMEWORK),
    (0, b"GGUF", "a GGUF file", _EXPORT_ONLY),
    (4, b"TFL3", "a TensorFlow Lite model", _OTHER_FRAMEWORK),
    (0, b"%PDF", "a PDF document", _NOT_WEIGHTS),
    (0, b"\x89PNG\r\n\x1a\n", "a PNG image", _NOT_WEIGHTS),
    (0, b"\xff\xd8\xff", "a JPEG image", _NOT_WEIGHTS),
    (0, b"GIF8", "a GIF image", _NOT_WEIGHTS),
    (0, b"RIFF", "a RIFF file, such as a WebP image", _NOT_WEIGHTS),
    (0, b"\x7fELF", "a Linux program", _NOT_WEIGHTS),
    (0, b"MZ", "a Windows program", _NOT_WEIGHTS),
    (0, b"SQLite format 3\x00", "an SQLite database", _NOT_WEIGHTS),
    (
        0,
        b"version https://git-lfs",
        "a Git LFS pointer, not the file it points at",
        "Run git lfs pull and upload the file itself.",
    ),
)

#: (pattern over one zip member's name, what the zip is, what to do). First match over all members wins.
_ZIP_CONTENTS: tuple[tuple[str, str, str], ...] = (
    (r"[^/]+/(constants\.pkl|code/.*)", "a TorchScript archive, which holds code", _EXPORT_ONLY),
    (r"([^/]+/)?bytecode\.pkl", "a PyTorch Mobile archive (ptl), which holds code", _EXPORT_ONLY),
    (
        r"([^/]+/)?\.data/(extern_modules|python_version)",
        "a torch.package archive, which holds code",
        _EXPORT_ONLY,
    ),
    (r"([^/]+/)?(archive_format|models/.*\.json)", "a torch.export archive (pt2)", _EXPORT_ONLY),
    (r"MAR-INF/.*", "a TorchServe archive (mar), which holds code", _UNPACK),
    (r"model\.weights\.h5", "a Keras archive", _OTHER_FRAMEWORK),
    (r"[^/]+\.npy", "a NumPy archive (npz)", _OTHER_FRAMEWORK),
    (r"(word|xl|ppt)/.*", "an office document", _NOT_WEIGHTS),
)
_TAR_BLOCK = 512
_TORCH_MEMBER = re.compile(r"[^/]+/data\.pkl")

#: ONNX has no magic number: field 1 (ir_version) is a small varint, followed by another low-numbered field.
_PROTOBUF = re.compile(rb"\x08[\x01-\x20][\x0a\x12\x1a\x22\x28\x32\x3a\x42]")


def recognize(view: memoryview) -> Container:
    """Tell which reader a file needs.

    Raises:
        CheckpointRejected: ``unsupported_format`` naming the format, or ``format_unknown``.
    """
    head = bytes(view[:4096])
    if head.startswith(b"PK\x03\x04") or head.startswith(b"PK\x05\x06"):
        return "zip"
    # Before everything that torch.load reads: it tries tar first, with or without tar's own signature.
    if _starts_tar(head[:_TAR_BLOCK]):
        raise rejection("unsupported_format", "The file is a tar archive.", hint=_UNPACK)
    # Before the signatures: a header of 640 bytes starts like a pickle, one of 35,615 like gzip.
    if head[4:9] == b"\x00\x00\x00\x00{":
        return "safetensors"
    if _LEGACY.match(head):
        return "torch_legacy"
    for offset, signature, what, hint in _SIGNATURES:
        if head[offset : offset + len(signature)] == signature:
            raise rejection("unsupported_format", f"The file is {what}.", hint=hint)
    if re.match(rb"\x80[\x02-\x05]", head):
        return "pickle"
    if head[8:9] == b"{":
        return "safetensors"
    if _PROTOBUF.match(head):
        raise rejection(
            "unsupported_format", "The file is a protobuf model, such as ONNX.", hint=_EXPORT_ONLY
        )
    raise _unknown(head, len(view))


def require_torch_zip(names: list[str]) -> None:
    """Refuse a zip that is not what torch.save writes for a state dict, by the names of its members.

    Raises:
        CheckpointRejected: ``unsupported_format`` naming what the zip is.
    """
    for pattern, what, hint in _ZIP_CONTENTS:
        if any(re.fullmatch(pattern, name) for name in names):
            raise rejection("unsupported_format", f"The file is {what}.", hint=hint)
    if not any(_TORCH_MEMBER.fullmatch(name) for name in names):
        raise rejection(
            "unsupported_format", "The file is a zip archive without a checkpoint's data.pkl.", hint=_UNPACK
        )


def _starts_tar(block: bytes) -> bool:
    """Whether ``tarfile`` would take this for the first header of an archive: only the checksum tells."""
    if len(block) < _TAR_BLOCK:
        return False
    stored = _tar_number(block[148:156])
    checked = block[:148] + b" " * 8 + block[156:]
    # Old writers added the bytes up as signed ones.
    return stored in {sum(checked), sum(byte - 256 * (byte > 127) for byte in checked)}


def _tar_number(field: bytes) -> int | None:
    """Read a number as ``tarfile.nti`` does; None if it is none."""
    if field[0] in {0o200, 0o377}:
        return int.from_bytes(field[1:], "big") - (256**7 if field[0] == 0o377 else 0)
    try:
        return int(field.partition(b"\0")[0].decode("ascii").strip() or "0", 8)
    except ValueError:
        return None


def _unknown(head: bytes, size_bytes: int) -> Exception:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:15].lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return rejection(
            "unsupported_format",
            "The file is an HTML page.",
            hint="A download link probably returned its page; fetch the checkpoint itself.",
        )
    if _is_text(head):
        return rejection("unsupported_format", "The file is a text file.", hint=_NOT_WEIGHTS)
    return rejection("format_unknown", f"The file's {size_bytes:,} bytes match no known format.")


def _is_text(head: bytes) -> bool:
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head)  # the last character may be cut
    except UnicodeDecodeError:
        return False
    return bool(text) and all(character.isprintable() or character in "\t\r\n\f" for character in text)
