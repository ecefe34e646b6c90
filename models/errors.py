"""What the library raises.

::

    ProctorError               anything a caller may want to catch
    ├── Rejected               a file was refused; nothing of it was used
    │   ├── CheckpointRejected
    │   └── DataRejected
    ├── RecipeError            the recipe contradicts itself or the data at hand (also a ValueError)
    ├── TrainingFailed         the numbers went wrong: not finite, collapsed
    ├── HostDiskFull           no space is left where this machine writes
    └── Interrupted            the monitor asked to stop; state up to the last step boundary is valid

Every error carries a stable ``code`` (snake_case, part of the public contract), a ``detail`` that names
what was found and a ``hint`` that says what to do next. No HTTP status: only the edge knows those.
"""

from __future__ import annotations

import errno
import re

_IN_RUST = re.compile(r"\(os error (\d+)\)")


class ProctorError(Exception):
    """Base of all errors the library raises on purpose."""

    code = "proctor_error"

    def __init__(self, detail: str, *, code: str | None = None, hint: str = "") -> None:
        """Store what went wrong.

        Args:
            detail: One sentence that names what was found.
            code: Stable identifier; defaults to the class's own.
            hint: One sentence that says what the user can do.
        """
        super().__init__(detail)
        self.detail = detail
        self.hint = hint
        if code is not None:
            self.code = code


class Rejected(ProctorError):
    """A file was refused; nothing of it was used."""

    code = "rejected"


class CheckpointRejected(Rejected):
    """The file is not a checkpoint this library reads, or not one it accepts."""

    code = "checkpoint_rejected"


class DataRejected(Rejected):
    """The archive or image is not one this library reads, or not one it accepts."""

    code = "data_rejected"


class RecipeError(ProctorError, ValueError):
    """The recipe contradicts itself, the networks or the data at hand."""

    code = "recipe_invalid"


class TrainingFailed(ProctorError):
    """Training produced numbers that cannot be used."""

    code = "training_failed"


class HostDiskFull(ProctorError):
    """The disk of this machine is full, or this user's share of it: no fault of a file or a recipe."""

    code = "host_disk_full"

    def __init__(
        self,
        detail: str = "There is no space left on the disk of the machine that does the work.",
        *,
        hint: str = "Make room on it, or ask its operator to, and try again.",
    ) -> None:
        """Say so, in the usual words unless others are given."""
        super().__init__(detail, hint=hint)

    @classmethod
    def told_by(cls, error: BaseException) -> bool:
        """Whether an error says it. A file longer than a process may write (EFBIG) is another matter."""
        return system_error_of(error) in {errno.ENOSPC, errno.EDQUOT}


class Interrupted(ProctorError):
    """The monitor asked to stop."""

    code = "interrupted"


def system_error_of(error: BaseException) -> int | None:
    """Return the number of the operating system's error, None if it is no such error.

    safetensors, written in Rust, has it at the end of a text, in an error that is no ``OSError``; it is known
    by its name here, since what reads uploads does not load that library.
    """
    if isinstance(error, OSError):
        return error.errno
    told = _IN_RUST.search(str(error)) if type(error).__name__ == "SafetensorError" else None
    return None if told is None else int(told[1])
