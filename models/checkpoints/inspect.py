"""From an untrusted file to canonical weights and an inspection a user can read. NumPy only."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from models.checkpoints.canonical import write_canonical
from models.checkpoints.codes import rejection
from models.checkpoints.infer_architecture import InferredArchitecture, infer_architecture
from models.checkpoints.layouts.layout import COUNTER
from models.checkpoints.limits import Limits
from models.checkpoints.scan import ScannedCheckpoint, scan_checkpoint
from models.recipes.architecture import Normalization
from models.results.inspection import CheckpointInspection

_IDENTITY_WARNING = (
    "No normalization was declared: the network is given pixels in [0, 1] as they are. If it was trained on "
    "(pixels - mean) / std, declare mean and std, or every figure will be wrong."
)


@dataclass(frozen=True, slots=True)
class InspectOptions:
    """What the user says about a checkpoint. Everything may be left out."""

    architecture: str | None = None
    """Registry name."""
    state_dict_key: str | None = None
    """Which entry of the file is the model."""
    num_classes: int | None = None
    input_size: int | None = None
    """Side of the images in pixels."""
    mean: tuple[float, float, float] | None = None
    """Channel means in units of pixels in [0, 1]; given together with ``std`` or not at all."""
    std: tuple[float, float, float] | None = None


def inspect_checkpoint(
    path: Path, out_path: Path, options: InspectOptions, *, limits: Limits | None = None
) -> CheckpointInspection:
    """Read a checkpoint, tell its architecture, and write it in canonical form.

    Args:
        path: The uploaded file.
        out_path: Where the canonical safetensors file goes; written only if everything was accepted.
        options: The user's declarations.
        limits: Bounds on everything the file may ask for; None takes the defaults.

    Raises:
        CheckpointRejected: With one of ``codes.CODES``.
    """
    normalization = _normalization(options)
    scanned = scan_checkpoint(path, limits=limits, state_dict_key=options.state_dict_key)
    inferred = infer_architecture(
        scanned.shapes,
        declared=options.architecture,
        num_classes=options.num_classes,
        input_size=options.input_size,
    )
    _require_weight_types(scanned, inferred)
    canonical_sha256 = write_canonical(scanned, inferred.key_map, out_path)
    undeclared = () if normalization else (_IDENTITY_WARNING,)
    return CheckpointInspection(
        format=scanned.format,
        architecture=inferred.spec,
        architecture_source=inferred.source,
        normalization=normalization or Normalization(),
        normalization_source="declared" if normalization else "assumed",
        parameters=inferred.layout.parameters,
        buffers=inferred.layout.buffers,
        macs=inferred.layout.macs,
        dtypes=scanned.dtypes,
        size_bytes=scanned.size_bytes,
        sha256=scanned.sha256,
        canonical_sha256=canonical_sha256,
        state_dict_key=scanned.state_dict_key,
        stripped_prefix=scanned.stripped_prefix,
        dropped=scanned.dropped,
        subnormals_flushed=scanned.subnormals_flushed,
        warnings=(*scanned.warnings, *inferred.warnings, *undeclared),
    )


def _normalization(options: InspectOptions) -> Normalization | None:
    if options.mean is None and options.std is None:
        return None
    if options.mean is None or options.std is None:
        raise rejection("normalization_invalid", "Only one of mean and std was declared.")
    numbers = (*options.mean, *options.std)
    usable = len(options.mean) == len(options.std) == 3 and all(math.isfinite(number) for number in numbers)
    if not usable or max(map(abs, options.mean)) > 10 or not all(1e-3 <= one <= 10 for one in options.std):
        raise rejection("normalization_invalid", f"Mean {options.mean} and std {options.std} cannot be used.")
    return Normalization(mean=options.mean, std=options.std)


def _require_weight_types(scanned: ScannedCheckpoint, inferred: InferredArchitecture) -> None:
    for name, source in inferred.key_map.items():
        dtype = scanned.tensors[source].dtype if source is not None else None
        if dtype is not None and not dtype.floating and not name.endswith(COUNTER):
            raise rejection("dtype_unsupported", f"{source} is a weight, and has the data type {dtype.name}.")
