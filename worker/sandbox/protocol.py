"""What a job's process may say: one JSON object a line, every field bounded.

The process handles files from strangers, so nothing it says is believed before it was checked here.
"""

from __future__ import annotations

import os
import re
import select
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    JsonValue,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import from_json

from app.core.states import Stage

#: A distillation's result with two curves of a thousand points has about half a MiB.
MAX_LINE_BYTES = 8 * 1024 * 1024
READ_BYTES = 256 * 1024
#: Of one attempt. Progress five times a second for four hours is 20 MiB.
MAX_SAID_BYTES = 256 * 1024 * 1024

#: What a terminal obeys, or a stream of lines is cut at: such texts are shown by commands, pages and logs. A
#: line feed and a tab do no harm.
_OBEYED = re.compile(r"[\x01-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

Name = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[\w.@ /+-]+$")]
FileName = Annotated[str, StringConstraints(max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
MediaType = Annotated[
    str, StringConstraints(max_length=100, pattern=r"^[a-z]+/[A-Za-z0-9.+-]+(; ?charset=utf-8)?$")
]
Code = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Count = Annotated[int, Field(ge=0, lt=2**31)]


class ProtocolError(Exception):
    """The process said something that means nothing."""

    code = "child_protocol"


class TooMuchSaidError(ProtocolError):
    """The process said more than any honest one."""

    code = "output_limit"


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StageBegun(_Message):
    """A stage begins."""

    type: Literal["stage"]
    stage: Stage


class Progress(_Message):
    """So many steps of a stage are done."""

    type: Literal["progress"]
    stage: Stage
    done: Count
    total: Count
    scalars: Annotated[dict[Name, FiniteFloat], Field(max_length=64)]


class Kept(_Message):
    """A state to resume from is on the disk; with it, so many steps of a stage need not be done again."""

    type: Literal["kept"]
    stage: Stage
    done: Count
    total: Annotated[Count, Field(ge=1)]


class MetricSaid(_Message):
    """One point of a curve."""

    type: Literal["metric"]
    stage: Stage
    series: Name
    step: Count
    value: FiniteFloat


class Log(_Message):
    """A line for people."""

    type: Literal["log"]
    text: Annotated[str, Field(max_length=4096)]


class ProducedFile(_Message):
    """A file in the process's ``out`` folder."""

    name: FileName
    media_type: MediaType


class StageDone(_Message):
    """A stage is done; its result and files are complete."""

    type: Literal["stage_done"]
    stage: Stage
    result: dict[str, JsonValue]
    files: Annotated[list[ProducedFile], Field(max_length=64)]


class Failed(_Message):
    """The job cannot be done, and why."""

    type: Literal["failed"]
    code: Code
    detail: Annotated[str, Field(max_length=4096)]
    hint: Annotated[str, Field(max_length=4096)]


class Done(_Message):
    """All stages are done."""

    type: Literal["done"]


Message = StageBegun | Progress | Kept | MetricSaid | Log | StageDone | Failed | Done
_ADAPTER: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="type")])


def parse(line: bytes) -> Message:
    """Read one line; what a terminal would obey in its texts becomes U+FFFD.

    Raises:
        ProtocolError: It is not JSON, not one of the messages, or holds what a database refuses: NUL
            characters, lone surrogates, numbers that are not finite.
    """
    try:
        content: Any = from_json(line, allow_inf_nan=False)
        return _ADAPTER.validate_python(_harmless(content))
    except ValidationError as error:
        raise ProtocolError(
            f"not a message: {error.errors(include_url=False, include_input=False)[:3]}"
        ) from None
    except ValueError as error:
        raise ProtocolError(f"not JSON: {error}") from None


def _harmless(content: Any) -> Any:
    if isinstance(content, str):
        if "\0" in content:
            raise ProtocolError("a NUL character")
        return _OBEYED.sub("\ufffd", content)
    if isinstance(content, list):
        return [_harmless(item) for item in content]
    if isinstance(content, dict):
        return {_harmless(name): _harmless(value) for name, value in content.items()}
    return content


class MessageStream:
    """Lines from a pipe, read without waiting longer than asked."""

    def __init__(self, descriptor: int) -> None:
        """Read from ``descriptor``, which stays the caller's to close."""
        self._descriptor = descriptor
        self._rest = b""
        self._said_bytes = 0
        self.closed = False

    @property
    def silent(self) -> bool:
        """Whether nothing was said until now."""
        return self._said_bytes == 0

    def poll(self, timeout_s: float) -> Iterator[Message]:
        """Yield what was said, waiting at most ``timeout_s`` for the first byte.

        Raises:
            ProtocolError: A line was no message, or too long, or all of them together were.
        """
        if self.closed or not select.select([self._descriptor], [], [], timeout_s)[0]:
            return
        chunk = os.read(self._descriptor, READ_BYTES)
        self.closed = not chunk
        self._said_bytes += len(chunk)
        if self._said_bytes > MAX_SAID_BYTES:
            raise TooMuchSaidError(f"more than {MAX_SAID_BYTES} bytes")
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            yield parse(line)
        if len(self._rest) > MAX_LINE_BYTES:
            raise ProtocolError(f"a line of more than {MAX_LINE_BYTES} bytes")
        if self.closed and self._rest:
            raise ProtocolError("the last line is cut off")
