"""How a method computes, as far as a user may choose."""

from __future__ import annotations

from typing import Literal

Compile = Literal["auto", "never", "always"]
