"""From an untrusted file to canonical weights and an inspection a user can read. NumPy only."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from models.checkpoints.canonical import write_canonical
from models.checkpoints.choose_normalization import choose_normalization, declared_normalization
from models.checkpoints.codes import rejection
from models.checkpoints.constants import as_integers, integers_sha256
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
from models.checkpoints.never_trained import never_trained_remark
from models.checkpoints.scan import ScannedCheckpoint, scan_checkpoint
from models.errors import CheckpointRejected
from models.recipes.layer_list.vocabulary import LayerList
from models.results.inspection import CheckpointInspection

_NAMED_SIZE_WARNING = (
    "No input size was declared: the one is used that the file names in its header, {0} x {0}."
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
    declared = declared_normalization(options.mean, options.std)
    scanned = scan_checkpoint(path, limits=limits, state_dict_key=options.state_dict_key, digester=digester)
    if options.layers is not None:
        table = DescribedTable.of(options.layers)
    inferred = _architecture(scanned, options, table, outside)
    _require_weight_types(scanned, inferred)
    _require_own_constants(scanned, inferred)
    canonical_sha256 = write_canonical(scanned, inferred.key_map, out_path, digester=digester)
    normalization, source, remarks = choose_normalization(scanned, inferred, declared)
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
        subnormals=scanned.subnormals,
        warnings=(
            *scanned.warnings,
            *inferred.warnings,
            *remarks,
            *never_trained_remark(scanned, inferred),
        ),
    )
    return inspection if options.layers is None else with_layers(inspection, options.layers)


def _architecture(
    scanned: ScannedCheckpoint, options: InspectOptions, table: DescribedTable | None, outside: Family | None
) -> InferredArchitecture:
    if table is not None:
        if options.architecture is not None:
            raise rejection("layers_invalid", "Both a layer list and an architecture's name were declared.")
        said = {"num_classes": options.num_classes, "input_size": options.input_size}
        return match_described(scanned.shapes, table, **said)
    infer = partial(
        infer_architecture,
        scanned.shapes,
        declared=options.architecture,
        num_classes=options.num_classes,
        outside=outside,
    )
    inferred = infer(input_size=options.input_size)
    size = scanned.named.input_size
    if options.input_size is not None or size is None or scanned.named.architecture != inferred.spec.name:
        return inferred
    try:
        named = infer(input_size=size)
    except CheckpointRejected:  # The weights do not go with what the file says of itself.
        return inferred
    if named.warnings == inferred.warnings:  # They tell the size by themselves.
        return inferred
    return replace(named, warnings=(*named.warnings, _NAMED_SIZE_WARNING.format(size)))


def _require_weight_types(scanned: ScannedCheckpoint, inferred: InferredArchitecture) -> None:
    for name, source in inferred.key_map.items():
        dtype = scanned.tensors[source].dtype if source is not None else None
        if dtype is not None and not dtype.floating and not name.endswith(COUNTER):
            raise rejection("dtype_unsupported", f"{source} is a weight, and has the data type {dtype.name}.")


def _require_own_constants(scanned: ScannedCheckpoint, inferred: InferredArchitecture) -> None:
    """Compare the integers that index other tensors: torch would load those of the file."""
    differing = [
        name
        for name, sha256 in inferred.layout.digests.items()
        if name in scanned.tensors and integers_sha256(as_integers(scanned.tensors[name])) != sha256
    ]
    if differing:
        raise rejection(
            "architecture_mismatch",
            f"{len(differing)} tensors of integers that belong to {inferred.spec.name} have other values in "
            f"the file, the first is {differing[0]}.",
            hint="Save the state dict of the unchanged architecture, or leave these tensors out of it.",
        )
