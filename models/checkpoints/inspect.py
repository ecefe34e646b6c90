"""From an untrusted file to canonical weights and an inspection a user can read. NumPy only."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from models.checkpoints.canonical import write_canonical
from models.checkpoints.codes import rejection
from models.checkpoints.described import DescribedTable, with_layers
from models.checkpoints.digest import Digester
from models.checkpoints.infer_architecture import (
    InferredArchitecture,
    infer_architecture,
    match_described,
)
from models.checkpoints.layouts.family import Family
from models.checkpoints.layouts.layout import COUNTER
from models.checkpoints.limits import Limits
from models.checkpoints.normalization_fit import IDENTITY, fit_normalization
from models.checkpoints.scan import ScannedCheckpoint, scan_checkpoint
from models.recipes.architecture import Normalization
from models.recipes.layer_list.vocabulary import LayerList
from models.results.inspection import CheckpointInspection, NormalizationSource

_IDENTITY_WARNING = (
    "No normalization was declared: the network is given pixels in [0, 1] as they are. If it was trained on "
    "(pixels - mean) / std, declare mean and std, or every figure will be wrong."
)
_SUGGESTED_WARNING = (
    "No normalization was declared: the one is used that the library names for its published weights of this "
    "architecture. If yours were trained with another, declare mean and std, or every figure will be wrong."
)
#: What is used without a declaration, by whether the library names one.
_DEFAULT_NAMES = ("pixels in [0, 1] as they are", "the one that the library names")
#: bfloat16 arrives as bare bits; such checkpoints are rare enough to be asked for their normalization.
_COMPARABLE = ("F16", "F32", "F64")


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
    layers: LayerList | None = None
    """Describes a network that is not of the registry; not together with ``architecture``."""


def inspect_checkpoint(
    path: Path,
    out_path: Path,
    options: InspectOptions,
    *,
    limits: Limits | None = None,
    digester: Digester | None = None,
    outside: Family | None = None,
    table: DescribedTable | None = None,
) -> CheckpointInspection:
    """Read a checkpoint, tell its architecture, and write it in canonical form.

    Args:
        path: The uploaded file.
        out_path: Where the canonical safetensors file goes; written only if everything was accepted.
        options: The user's declarations.
        limits: Bounds on everything the file may ask for; None takes the defaults.
        digester: Hashes both files; one that was started makes this nearly twice as fast.
        outside: The family of a declared architecture that another library makes; see
            ``declared.outside_table``.
        table: What follows from ``options.layers``, where these themselves are kept out of this process.

    Raises:
        CheckpointRejected: With one of ``codes.CODES``.
    """
    declared = _normalization(options)
    scanned = scan_checkpoint(path, limits=limits, state_dict_key=options.state_dict_key, digester=digester)
    if options.layers is not None:
        table = DescribedTable.of(options.layers)
    inferred = _architecture(scanned, options, table, outside)
    _require_weight_types(scanned, inferred)
    canonical_sha256 = write_canonical(scanned, inferred.key_map, out_path, digester=digester)
    normalization, source, remarks = _settle(scanned, inferred, declared)
    inspection = CheckpointInspection(
        format=scanned.format,
        architecture=inferred.spec,
        architecture_source=inferred.source,
        normalization=normalization,
        normalization_source=source,
        parameters=inferred.layout.parameters,
        buffers=inferred.layout.buffers,
        macs=inferred.layout.macs,
        dtypes=scanned.dtypes,
        size_bytes=scanned.size_bytes,
        sha256=scanned.sha256,
        canonical_sha256=canonical_sha256,
        state_dict_key=scanned.state_dict_key,
        stripped_prefix=scanned.stripped_prefix,
        dropped=(*scanned.dropped, *inferred.dropped),
        subnormals_flushed=scanned.subnormals_flushed,
        warnings=(*scanned.warnings, *inferred.warnings, *remarks),
    )
    return inspection if options.layers is None else with_layers(inspection, options.layers)


def _architecture(
    scanned: ScannedCheckpoint, options: InspectOptions, table: DescribedTable | None, outside: Family | None
) -> InferredArchitecture:
    said = {"num_classes": options.num_classes, "input_size": options.input_size}
    if table is None:
        return infer_architecture(scanned.shapes, declared=options.architecture, outside=outside, **said)
    if options.architecture is not None:
        raise rejection("layers_invalid", "Both a layer list and an architecture's name were declared.")
    return match_described(scanned.shapes, table, **said)


def _settle(
    scanned: ScannedCheckpoint, inferred: InferredArchitecture, declared: Normalization | None
) -> tuple[Normalization, NormalizationSource, tuple[str, ...]]:
    """Decide which normalization is used, and say what the weights say about it.

    A declared one is used even when the weights speak against it: the user may know what we do not.
    """
    suggested = inferred.layout.normalization
    arrays = {
        name: scanned.tensors[source].array
        for name, source in inferred.key_map.items()
        if source is not None and scanned.tensors[source].dtype.tag in _COMPARABLE
    }
    fit = fit_normalization(arrays, declared or suggested or IDENTITY)
    if fit is None or not fit.wrong:
        if declared:
            return declared, "declared", ()
        if suggested:
            return suggested, "library", (_SUGGESTED_WARNING,)
        return IDENTITY, "assumed", (_IDENTITY_WARNING,)
    also = f", {' and '.join(fit.also)} about as well," if fit.also else ""
    told = (
        f"The first BatchNorm fits {fit.best_name} (distance {fit.best_distance:.2f}){also} and not "
        f"{'the declared normalization' if declared else _DEFAULT_NAMES[suggested is not None]} "
        f"({fit.distance:.2f})."
    )
    if declared:
        return declared, "declared", (f"{told} Check mean and std: every figure depends on them.",)
    return fit.best, "estimated", (f"{told} It is used, because no normalization was declared.",)


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
