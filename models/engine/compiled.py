"""torch.compile where it pays, and plain calls where it does not or cannot.

Compiling fuses BatchNorm, ReLU and the additions around the convolutions, and takes about a minute first.
Three rules keep it out of sight:

- A *function* is compiled, never a network: nothing wraps a module, so state dicts, hooks and results do not
  know of it. Only what is differentiated once may be compiled; double backward stays outside.
- Whether to compile follows from the recipe and the networks alone, not from a stopwatch: a run that is
  interrupted and resumed, or repeated on a slower machine, takes the same way and ends in the same weights.
- What goes wrong while compiling (no C++ compiler on the user's machine, a network it cannot trace) is
  logged once, and the function runs as written.

On a GPU the mode is ``reduce-overhead``, which records CUDA graphs: small networks are bound by launches
there. That path was written without a GPU at hand and has not been run.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable
from functools import cache
from typing import ParamSpec, TypeVar, cast

import torch

P = ParamSpec("P")
R = TypeVar("R")

logger = logging.getLogger(__name__)

#: Multiply-accumulates of a run, forward and backward, from which ``auto`` compiles. Two cores do about 1e11
#: a second and compiling saves about a quarter of the time, so that the first minute is won back after 4
#: minutes, or 2.4e13; twice that, so that a slower compiler does not turn it into a loss.
AUTO_MACS = 5e13


def compiled(function: Callable[P, R], device: torch.device) -> Callable[P, R]:
    """Return ``function`` compiled at its first call, or as it is if that fails.

    Args:
        function: Takes and returns tensors of fixed shapes; differentiated at most once. Called again when
            compiling fails, so that it must not change anything before its first tensor operation.
        device: Where its tensors are; decides the mode.
    """
    return cast(
        Callable[P, R], _Compiled(function, "reduce-overhead" if device.type == "cuda" else "default")
    )


class _Compiled:
    """Compiles at the first call; falls back for good when that raises."""

    def __init__(self, function: Callable[..., object], mode: str) -> None:
        _private_cache()
        self.function = function
        self.mode = mode
        self.call: Callable[..., object] = torch.compile(function, mode=mode, dynamic=False)
        self.proven = False

    def __call__(self, *args: object, **kwargs: object) -> object:
        if self.mode == "reduce-overhead":
            # Earlier outputs of the recorded graphs may be overwritten from here on.
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        if self.proven:
            return self.call(*args, **kwargs)
        try:
            result = self.call(*args, **kwargs)
        except Exception as error:
            # Whatever a compiler raises. A fault of the function itself is raised again below.
            reason = str(error).strip().splitlines() or [""]
            logger.warning("Not compiled, %s: %s", type(error).__name__, reason[0])
            self.call = self.function
            result = self.call(*args, **kwargs)
        self.proven = True
        return result


@cache
def _private_cache() -> tempfile.TemporaryDirectory[str] | None:
    """Compile into a folder of this process's own, unless the environment names one.

    By default it is one in /tmp with a guessable name, and what lies there is loaded as machine code.
    """
    if "TORCHINDUCTOR_CACHE_DIR" in os.environ:
        return None
    folder = tempfile.TemporaryDirectory(prefix="proctor-compiled-")
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = folder.name
    return folder


def maybe_compiled(function: Callable[P, R], device: torch.device, *, wanted: bool) -> Callable[P, R]:
    """Return ``compiled(function, device)`` if ``wanted``, else ``function``."""
    return compiled(function, device) if wanted else function
