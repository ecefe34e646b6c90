"""Inspecting a checkpoint in a process of its own, which is how the service does it."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from models.checkpoints.child import ChildRejectedError, ChildStoppedError, ask_child
from models.checkpoints.codes import rejection
from models.checkpoints.declared import outside_table
from models.checkpoints.described import DescribedTable, with_layers
from models.checkpoints.inspect import InspectOptions
from models.checkpoints.limits import Limits
from models.errors import CheckpointRejected
from models.recipes.architecture import ArchitectureSpec, Normalization
from models.results.inspection import CheckpointInspection
from models.sandbox.profiles import Mode


def inspect_isolated(
    path: Path,
    out_path: Path,
    options: InspectOptions,
    *,
    limits: Limits | None = None,
    sandbox: Mode = "degraded",
) -> CheckpointInspection:
    """Do what ``inspect_checkpoint`` does, in a sandboxed child process that imports NumPy only.

    Args:
        path: The uploaded file.
        out_path: Where the canonical safetensors file goes; nothing is left there if the file is refused.
        options: The user's declarations.
        limits: Bounds on everything the file may ask for; None takes the defaults.
        sandbox: What happens when this machine lacks a part of the sandbox.

    Raises:
        CheckpointRejected: With one of ``codes.CODES``, or ``sandbox_unavailable``.
    """
    limits, layers = limits or Limits(), options.layers
    request: dict[str, Any] = {
        "path": str(path.absolute()),
        "out_path": str(out_path.absolute()),
        "options": asdict(replace(options, layers=None)),
        "limits": asdict(limits),
        "sandbox": sandbox,
        "table": None if layers is None else asdict(DescribedTable.of(layers)),
    }
    try:
        request["outside"] = outside_table(options.architecture, options.input_size, limits)
        found = parse_inspection(ask_child("models.checkpoints.inspect_main", request, wall_s=limits.wall_s))
        return found if layers is None else with_layers(found, layers)
    except ChildRejectedError as error:
        raise CheckpointRejected(error.detail, code=error.code, hint=error.hint) from None
    except ChildStoppedError as error:
        out_path.with_name(f"{out_path.name}.partial").unlink(missing_ok=True)
        raise rejection("parser_limit" if error.limit else "parser_failed", str(error)) from None


def parse_inspection(document: dict[str, Any]) -> CheckpointInspection:
    """Make an inspection from its JSON form, as ``dataclasses.asdict`` wrote it; a layer list is not taken.

    Raises:
        ChildStoppedError: Fields are missing, unknown or of the wrong form.
    """
    try:
        mean, std = document["normalization"]["mean"], document["normalization"]["std"]
        parsed = {
            **document,
            "architecture": ArchitectureSpec(**{**document["architecture"], "layers": None}),
            "normalization": Normalization((mean[0], mean[1], mean[2]), (std[0], std[1], std[2])),
            "dropped": tuple(map(str, document["dropped"])),
            "warnings": tuple(map(str, document["warnings"])),
        }
        return CheckpointInspection(**parsed)
    except (IndexError, KeyError, TypeError, ValueError):
        raise ChildStoppedError("The reader's answer is not an inspection.", limit=False) from None
