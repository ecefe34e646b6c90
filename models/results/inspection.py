"""What the intake found in an uploaded checkpoint or archive."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from models.recipes.architecture import ArchitectureSpec, Normalization

CheckpointFormat = Literal["safetensors", "torch_zip", "torch_legacy"]
NormalizationSource = Literal["declared", "assumed", "estimated"]


@dataclass(frozen=True)
class CheckpointInspection:
    """An accepted checkpoint, as the rest of the system knows it."""

    format: CheckpointFormat
    architecture: ArchitectureSpec
    architecture_source: Literal["declared", "inferred"]
    normalization: Normalization
    normalization_source: NormalizationSource
    """``estimated``: none was declared, and the first BatchNorm speaks for one of the common ones."""
    parameters: int
    buffers: int
    macs: int | None
    """Multiply-accumulate operations of one forward pass of one image."""
    dtypes: dict[str, int]
    """Tensors per data type, as stored."""
    size_bytes: int
    sha256: str
    """Of the uploaded bytes."""
    canonical_sha256: str
    """Of the safetensors file made from them."""
    state_dict_key: str | None
    stripped_prefix: str | None
    dropped: tuple[str, ...] = ()
    """Objects beside the weights that were not kept, by name."""
    subnormals_flushed: int = 0
    warnings: tuple[str, ...] = field(default=())
    layers_sha256: str | None = None
    """Of the layer list, if the network is not of the registry; neither blanks nor defaults count."""
    layers_summary: str | None = None
    """What the layer list describes, in a sentence."""


@dataclass(frozen=True)
class DatasetInspection:
    """An accepted image archive or single image."""

    role: Literal["clean_labelled", "clean_unlabelled", "surrogate"]
    images: int
    classes: tuple[str, ...]
    """Class folders in label order; empty without labels."""
    class_counts: tuple[int, ...]
    sizes: dict[str, int]
    """Images per size, written as width x height."""
    size_bytes: int
    sha256: str
    canonical_sha256: str
    warnings: tuple[str, ...] = ()
