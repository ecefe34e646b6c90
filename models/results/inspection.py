"""What the intake found in an uploaded checkpoint or archive."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from models.recipes.architecture import ArchitectureSpec, Normalization

CheckpointFormat = Literal["safetensors", "torch_zip", "torch_legacy"]
NormalizationSource = Literal["declared", "file", "assumed", "estimated", "library"]


@dataclass(frozen=True)
class CheckpointInspection:
    """An accepted checkpoint, as the rest of the system knows it."""

    format: CheckpointFormat
    architecture: ArchitectureSpec
    architecture_source: Literal["declared", "inferred"]
    normalization: Normalization
    normalization_source: NormalizationSource
    """Without a declaration: ``file`` if its header names one, ``estimated`` if the first BatchNorm
    speaks for one of the common ones, else ``library`` if the library whose architecture was declared names
    one for it, else ``assumed``."""
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
    subnormals: int = 0
    """Weights below 1.2e-38 in float32, which are kept."""
    warnings: tuple[str, ...] = field(default=())
    layers_sha256: str | None = None
    """Of the layer list, if the network is not of the registry; neither blanks nor defaults count."""
    layers_summary: str | None = None
    """What the layer list describes, in a sentence."""


@dataclass(frozen=True)
class RepeatedPatch:
    """The same few pixels in more images than nature explains: perhaps a trigger. See docs/formats.md."""

    side: int
    """In pixels."""
    row: int | None
    """Of its upper left pixel, like ``column``; None if it is at different places."""
    column: int | None
    images: int
    """Of those that were looked at."""
    neighborhood: int
    """How many images have what lies nearest to it: the same a pixel further, or one line more of it."""
    label: int | None
    """The commonest label of these images; None without labels."""
    images_of_label: int
    examples: tuple[int, ...]
    """Images counted from 0 in the order of their names."""


@dataclass(frozen=True)
class DatasetFindings:
    """What a set of images says about itself."""

    exact_duplicates: int
    """Images with the pixels of an earlier one."""
    near_duplicates: int
    """Images that nearly are an earlier one."""
    conflicting_labels: int
    """Images of both kinds that have another label than the earlier one."""
    duplicate_examples: tuple[tuple[int, int], ...]
    """Earlier and later image, counted from 0 in the order of their names; conflicting ones first."""
    patches: tuple[RepeatedPatch, ...]
    patches_looked_at: int
    """Images looked at for patches: 0 if there are too few of them."""


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
    findings: DatasetFindings | None = None
    """None for surrogate images, which may be anything."""
    warnings: tuple[str, ...] = ()
