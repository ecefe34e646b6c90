"""Choose a representation by the ``Accept`` header (RFC 9110 section 12.5.1)."""

from __future__ import annotations

from collections.abc import Sequence

from app.core.errors import ServiceError


def choose(accept: str | None, offered: Sequence[str]) -> str:
    """Return the media type among ``offered`` that the caller likes best; the first of equals.

    Raises:
        ServiceError: ``not_acceptable``, when the caller accepts none of them.
    """
    ranges = [_parse(part) for part in (accept or "*/*").split(",") if part.strip()]
    best, best_quality = "", 0.0
    for media_type in offered:
        # The most specific range that fits decides, whatever its quality.
        fitting = [
            (specificity, quality) for pattern, specificity, quality in ranges if _fits(pattern, media_type)
        ]
        quality = max(fitting)[1] if fitting else 0.0
        if quality > best_quality:
            best, best_quality = media_type, quality
    if not best:
        raise ServiceError("not_acceptable", f"This is offered as {' or '.join(offered)}.")
    return best


def _parse(part: str) -> tuple[str, int, float]:
    pattern, *parameters = (piece.strip().lower() for piece in part.split(";"))
    quality = 1.0
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                quality = min(max(float(parameter[2:]), 0.0), 1.0)
            except ValueError:
                quality = 0.0
    specificity = 0 if pattern == "*/*" else 1 if pattern.endswith("/*") else 2
    return pattern, specificity, quality


def _fits(pattern: str, media_type: str) -> bool:
    return pattern in {"*/*", media_type} or (pattern.endswith("/*") and media_type.startswith(pattern[:-1]))
