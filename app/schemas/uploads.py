"""What teachers and datasets have in common on the wire."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from app.core.states import UploadStatus
from app.schemas.base import Failure, Timestamp, Wire

MAX_NAME_BYTES = 255
"""What file systems allow; the name is only ever shown, never used as a path."""

Filename = Annotated[str, Field(min_length=1, max_length=MAX_NAME_BYTES, examples=["teacher.pt"])]


class Upload(Wire):
    """An uploaded file."""

    id: str
    filename: str
    """As the uploader named it; shown, never used as a path."""
    status: UploadStatus
    """``inspecting`` until the file is read, then ``ready`` or ``rejected``."""
    size_bytes: int
    sha256: str
    """Of the uploaded bytes, in hexadecimal."""
    error: Failure | None
    """Why the file was rejected."""
    created_at: Timestamp


class Links(Wire):
    """Where to go from here; null where there is nothing yet."""

    self: str


class FileName(Wire):
    """A name that can be shown anywhere."""

    filename: Filename

    @field_validator("filename")
    @classmethod
    def _printable(cls, name: str) -> str:
        if not name.isprintable() or "/" in name or "\\" in name or name in {".", ".."}:
            raise ValueError("must be a plain file name without slashes, line breaks or control characters")
        return name
