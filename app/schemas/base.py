"""What every wire type shares: strictness, time stamps, pages."""

from __future__ import annotations

from typing import Annotated, Generic, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

T = TypeVar("T")


Timestamp = AwareDatetime
"""A moment in UTC; written as RFC 3339 with ``Z``."""

TeacherId = Annotated[
    str, Field(pattern=r"^tch_[0-9A-HJKMNP-TV-Z]{26}$", examples=["tch_01JD0QZ6Y8T4N7M2K5R3W9X1VB"])
]
DatasetId = Annotated[
    str, Field(pattern=r"^ds_[0-9A-HJKMNP-TV-Z]{26}$", examples=["ds_01JD0R1C4H8P6Q2S7V5X3Z9YKE"])
]

JobId = Annotated[
    str, Field(pattern=r"^job_[0-9A-HJKMNP-TV-Z]{26}$", examples=["job_01JD0S2D5J9R7T3W8Y6Z4A1BCF"])
]
ArtifactId = Annotated[
    str, Field(pattern=r"^art_[0-9A-HJKMNP-TV-Z]{26}$", examples=["art_01JD0T3E6K1S8V4X9Z7B5C2DFG"])
]


NO_NUL = r"^[^\x00]*$"
"""PostgreSQL has no text with a NUL in it."""


class Wire(BaseModel):
    """Base of all wire types: unknown fields are refused, attribute docstrings are the documentation."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, from_attributes=True)


class Page(Wire, Generic[T]):
    """One page of a list, newest first."""

    # Attribute docstrings are found by parsing the source, once more for each kind of page: 40 ms at start.
    model_config = ConfigDict(use_attribute_docstrings=False)

    object: Literal["page"] = "page"
    data: list[T]
    has_more: bool = Field(description="Whether a further page exists.")
    next_after: str | None = Field(description="Pass it as `after` to get the next page.")


class Failure(Wire):
    """Why a job, a teacher or a dataset failed, in the form of a problem without its HTTP part."""

    code: str
    """Stable identifier; see the list of codes in docs/http.md."""
    detail: str
    """One sentence that names what was found."""
    hint: str = ""
    """One sentence that says what to do next."""
