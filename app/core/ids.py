"""Identifiers: a prefix that names the kind, then 26 characters that sort by time of birth."""

from __future__ import annotations

import re
import secrets
import time
from typing import Literal

Prefix = Literal["tch", "ds", "job", "art", "key"]

#: Crockford's base 32: no I, L, O or U, so that an identifier survives being read aloud.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
PATTERN = re.compile(r"^(tch|ds|job|art|key)_[0-9A-HJKMNP-TV-Z]{26}$")


def is_id(prefix: Prefix, text: str) -> bool:
    """Tell an identifier of a kind from anything else, such as the name of a file."""
    return PATTERN.fullmatch(text) is not None and text.startswith(f"{prefix}_")


def new_id(prefix: Prefix) -> str:
    """Make an identifier as ULIDs are made: 48 bits of milliseconds, then 80 random bits."""
    number = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    digits = (ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))
    return f"{prefix}_{''.join(digits)}"
