"""A pickle's bytes, taken one after another and never past the end."""

from __future__ import annotations

from typing import NoReturn

from models.checkpoints.codes import rejection
from models.checkpoints.limits import Limits, require_at_most

#: Longest name of a module or of something in it.
_MAX_LINE_BYTES = 1024


class PickleBytes:
    """A buffer and a place in it.

    Attributes:
        position: Where the next byte is taken.
    """

    def __init__(self, data: bytes, limits: Limits) -> None:
        """Start at the first byte of ``data``."""
        self.position = 0
        self._frame_end = 0
        self._data = data
        self._limits = limits

    def _malformed(self, what: str) -> NoReturn:
        raise rejection("pickle_malformed", f"The pickled part {what} (byte {self.position:,}).")

    def _take(self, count: int) -> bytes:
        end = self.position + count
        if end > len(self._data):
            require_at_most(end, self._limits.pickle_bytes, "pickled part, in bytes,")
            raise rejection("truncated_file", "The pickled part of the file ends in the middle of a value.")
        if self.position < self._frame_end < end:
            self._malformed("holds a value that reaches over the end of its frame")
        taken = self._data[self.position : end]
        self.position = end
        return taken

    def _begin_frame(self) -> None:
        """Note where a frame ends, which whole opcodes must fill.

        What reaches over a frame's end CPython reads from behind it, and drops the frame's rest; and what a
        frame has behind STOP it drops, too. So both make it read other opcodes than a reader without frames.
        """
        length = self._unsigned(8)
        if self.position < self._frame_end:
            self._malformed("begins a frame inside another")
        self._frame_end = self.position + length

    def _require_frame_done(self) -> None:
        if self.position < self._frame_end:
            self._malformed("ends before its frame does")

    def _unsigned(self, size: int) -> int:
        return int.from_bytes(self._take(size), "little")

    def _line(self) -> str:
        end = self._data.find(b"\n", self.position, self.position + _MAX_LINE_BYTES)
        if end < 0:
            self._take(_MAX_LINE_BYTES)  # unless the file ends first
            self._malformed("holds a name without an end")
        line = self._take(end - self.position + 1)
        return self._decoded(line[:-1])

    def _decoded(self, raw: bytes) -> str:
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            self._malformed("holds text that is not UTF-8")
