"""timm's networks: how they are named. Which of them there are, timm tells where it is installed."""

from __future__ import annotations

import re

PREFIX = "timm-"
INSTALL_HINT = "Where the worker runs: pip install proctor[timm]."

_NAME = re.compile(re.escape(PREFIX) + r"[a-z0-9][a-z0-9_]*")


def is_timm_name(name: str) -> bool:
    """Whether a name has the form of timm's; tags that choose weights (``.a1_in1k``) are no part of it."""
    return _NAME.fullmatch(name) is not None
