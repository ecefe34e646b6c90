"""Triggers in a job request: from the catalog by name, or as a picture."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from app.schemas.base import Wire

MAX_TRIGGERS = 8
MAX_PNG_BYTES = 256 * 1024
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"

TriggerKind = Literal["replace", "blend", "additive"]
TriggerName = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9 _.-]*$")]


class TriggerShown(Wire):
    """A trigger as the job's owner named it; the picture itself is not repeated."""

    name: str
    target_label: int
    kind: TriggerKind | None = None
    """Null for a built-in one, which brings its own."""
    catalog: str | None = None
    opacity: float | None = None


class Trigger(Wire):
    """A trigger that the user knows or suspects."""

    name: TriggerName
    """How the report calls it."""
    target_label: int = Field(strict=True, ge=0, le=999)
    """The class that the attacker wants."""
    catalog: str | None = Field(None, pattern=r"^[a-z0-9_]{1,64}$")
    """Name of a built-in trigger, such as ``badnets_square`` or ``ring``; docs/http.md lists them. Give this
    or ``png``."""
    png: str | None = Field(None, max_length=(MAX_PNG_BYTES + 2) // 3 * 4)
    """A PNG of up to 256 KiB in base64; its alpha channel is the mask."""
    kind: TriggerKind = "replace"
    """How a picture is put onto an image; not for a built-in trigger, which brings its own."""
    opacity: float | None = Field(None, strict=True, gt=0.0, le=1.0)
    """Factor on the mask."""

    @field_validator("png")
    @classmethod
    def _is_png(cls, text: str | None) -> str | None:
        if text is None:
            return None
        try:
            content = base64.b64decode(text, validate=True)
        except binascii.Error:
            raise ValueError("must be base64 without line breaks") from None
        if not content.startswith(_PNG_SIGNATURE):
            raise ValueError("must be a PNG file")
        return text

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.catalog is None) == (self.png is None):
            raise ValueError("give either catalog or png")
        if self.catalog is not None and "kind" in self.model_fields_set:
            raise ValueError("a built-in trigger brings its own kind; leave kind out")
        return self
