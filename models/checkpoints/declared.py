"""What must be asked about a declared architecture before the parser starts."""

from __future__ import annotations

import tempfile
from typing import Any

from models.checkpoints.child import ChildRejectedError, ChildStoppedError, ask_child
from models.checkpoints.codes import CODES
from models.checkpoints.limits import Limits
from models.recipes.blueprints.timm import is_timm_name

#: Importing torch and timm takes 4 s on a fast machine; counting the costs of the deepest network 20 s.
WALL_S = 180.0


def outside_table(architecture: str | None, input_size: int | None, limits: Limits) -> dict[str, Any] | None:
    """Ask another library's side process for the table of a declared architecture.

    Args:
        architecture: What the user declared.
        input_size: Likewise.
        limits: The upload's.

    Returns:
        What ``layouts.outside.OutsideFamily`` reads, or None if the name is none of another library's.

    Raises:
        ChildRejectedError: With one of ``codes.CODES``.
    """
    if architecture is None or not is_timm_name(architecture):
        return None
    try:
        with tempfile.TemporaryDirectory(prefix="proctor-timm-") as scratch:
            request = {
                "architecture": architecture,
                "input_size": input_size,
                "tensors": limits.tensors,
                "materialized_bytes": limits.materialized_bytes,
                "scratch": scratch,
            }
            return ask_child("models.checkpoints.timm_main", request, wall_s=WALL_S)
    except ChildStoppedError as error:
        code = "architecture_unavailable"
        raise ChildRejectedError(
            code, f"timm could not describe {architecture}: {error}", CODES[code].hint
        ) from None
