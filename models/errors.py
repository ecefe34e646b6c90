"""What the library raises.

::

    ProctorError               anything a caller may want to catch
    ├── Rejected               a file was refused; nothing of it was used
    │   ├── CheckpointRejected
    │   └── DataRejected
    ├── RecipeError            the recipe contradicts itself or the data at hand (also a ValueError)
    ├── TrainingFailed         the numbers went wrong: not finite, collapsed
    └── Interrupted            the monitor asked to stop; state up to the last step boundary is valid

Every error carries a stable ``code`` (snake_case, part of the public contract), a ``detail`` that names
what was found and a ``hint`` that says what to do next. No HTTP status: only the edge knows those.
"""

from __future__ import annotations


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


class Interrupted(ProctorError):
    """The monitor asked to stop."""

    code = "interrupted"
