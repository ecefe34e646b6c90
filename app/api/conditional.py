"""Conditional and partial requests (RFC 9110 sections 13 and 14), and the headers of a download."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from urllib.parse import quote

from app.core.errors import ServiceError

_ENTITY_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
_SINGLE_RANGE = re.compile(r"(\d{0,18})-(\d{0,18})")


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes ``first`` to ``last`` of a file, both included."""

    first: int
    last: int

    @property
    def length(self) -> int:
        """Return the number of bytes."""
        return self.last - self.first + 1


class UnsatisfiableRangeError(Exception):
    """The range lies outside the file."""


def weak_etag(body: bytes) -> str:
    """Return a weak entity tag of a JSON body: equal values, not necessarily equal bytes elsewhere."""
    return f'W/"{hashlib.sha256(body).hexdigest()[:32]}"'


def sha256_etag(sha256: str) -> str:
    """Return the strong entity tag of a stored file."""
    return f'"sha256:{sha256}"'


def matches(header: str | None, etag: str) -> bool:
    """Tell whether a list of entity tags holds this one, by weak comparison (RFC 9110 section 8.8.3.2)."""
    if header is None:
        return False
    if header.strip() == "*":
        return True
    opaque = etag.removeprefix("W/")
    return any(tag.removeprefix("W/") == opaque for tag in _ENTITY_TAG.findall(header))


def check_if_match(if_match: str | None, etag: str) -> None:
    """Make sure that ``If-Match``, if there is one, holds this tag; ``*`` holds that of whatever exists.

    The comparison is weak, other than RFC 9110 section 13.1.1 asks: documents have weak tags only, each of
    them a digest of the whole document, so that equal tags are equal documents.

    Raises:
        ServiceError: ``precondition_failed``, when the thing is another version.
    """
    if if_match is not None and not matches(if_match, etag):
        raise ServiceError("precondition_failed", "It has changed since, or If-Match names something else.")


def parse_range(header: str | None, if_range: str | None, *, size: int, etag: str) -> ByteRange | None:
    """Decide which part of a file to send.

    A malformed range, a unit other than bytes and a list of ranges are ignored, as RFC 9110 section 14.2
    allows: the whole file is the answer then. So is an ``If-Range`` that names another version; a date
    in ``If-Range`` never matches, because files here have no Last-Modified.

    Args:
        header: The ``Range`` header.
        if_range: The ``If-Range`` header.
        size: The file's size in bytes.
        etag: The file's strong entity tag.

    Returns:
        The part, or None for the whole file.

    Raises:
        UnsatisfiableRangeError: The range is well-formed but no byte of the file lies in it.
    """
    if header is None or (if_range is not None and if_range.strip() != etag):
        return None
    unit, _, spec = header.partition("=")
    found = _SINGLE_RANGE.fullmatch(spec.strip())
    if unit.strip().lower() != "bytes" or found is None:
        return None
    first_text, last_text = found.groups()
    if not first_text:
        return _suffix(last_text, size)
    first = int(first_text)
    last = int(last_text) if last_text else size - 1
    if last_text and last < first:
        return None
    if first >= size:
        raise UnsatisfiableRangeError
    return ByteRange(first, min(last, size - 1))


def _suffix(length_text: str, size: int) -> ByteRange | None:
    if not length_text:
        return None
    length = int(length_text)
    if length == 0 or size == 0:
        raise UnsatisfiableRangeError
    return ByteRange(max(0, size - length), size - 1)


def sha256_digest_field(sha256: str) -> str:
    """Return a ``Repr-Digest`` or ``Content-Digest`` value (RFC 9530) of a hexadecimal SHA-256."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode('ascii')}:"


def parse_sha256_digest(header: str) -> str | None:
    """Read the hexadecimal SHA-256 out of a ``Content-Digest`` header.

    Returns:
        The digest, or None where the header holds no SHA-256: other algorithms are ignored (RFC 9530
        section 2).

    Raises:
        ValueError: There is a ``sha-256`` member that is not 32 bytes of base64 between colons.
    """
    for member in header.split(","):
        name, _, value = member.strip().partition("=")
        if name.strip().lower() != "sha-256":
            continue
        value = value.strip()
        if len(value) < 2 or value[0] != ":" or value[-1] != ":":
            raise ValueError("sha-256 is not a byte sequence between colons")
        digest = base64.b64decode(value[1:-1], validate=True)
        if len(digest) != hashlib.sha256().digest_size:
            raise ValueError("sha-256 is not 32 bytes long")
        return digest.hex()
    return None


def content_disposition(filename: str) -> str:
    """Return an ``attachment`` header for any file name (RFC 6266, RFC 8187).

    The plain form keeps a conservative alphabet, because quoting rules differ between browsers and a
    name may hold quotes, line breaks or path separators; the extended form holds the name in UTF-8.
    """
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", filename).lstrip(".") or "download"
    if plain == filename:
        return f'attachment; filename="{plain}"'
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='', errors='replace')}"
