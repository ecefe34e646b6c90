"""What the pickle reader builds: inert nodes of names and integers, never what the file asks for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from models.checkpoints.tensor_spec import StorageSpec, TensorSpec

Scalar: TypeAlias = bool | int | float | str | bytes | None


@dataclass(frozen=True, slots=True)
class Global:
    """A name the pickle refers to, already found in the allow-list. Nothing is imported."""

    name: str


@dataclass(slots=True, eq=False)
class Opaque:
    """Something a training script saved beside the weights. It is dropped, whatever it was given."""

    name: str
    entries: dict[str, Value] = field(default_factory=dict)
    """What it was given under a name, as a mapping has it."""
    unnamed: list[Value] = field(default_factory=list)
    """What it was given otherwise: arguments that may hold weights, items and its state."""
    closed: bool = False
    """Whether it has its state, or was made of weights and may be another name for them. It takes no more."""
    held_bytes: int = 0
    """Bytes among the arguments that were dropped: an array's numbers, perhaps."""


@dataclass(slots=True, eq=False)
class Sequence:
    """A tuple, list or set."""

    kind: Literal["tuple", "list", "set"]
    items: list[Value]
    depth: int = 1
    inside: bool = False
    """Whether another container holds it. It grows no more then, so that what that one says stays true."""
    any_weights: bool = False
    """Whether a tensor is anywhere in it, or what a call makes, which may be one."""


@dataclass(slots=True, eq=False)
class Mapping:
    """A dict or OrderedDict. Only text keys can name tensors; of other entries the values are kept."""

    entries: dict[str, Value] = field(default_factory=dict)
    unnamed: list[Value] = field(default_factory=list)
    """Values whose keys are not text."""
    called_keys: int = 0
    """Keys that a call makes: they may be text, and equal to another key."""
    tensors: int = 0
    """How many of the entries are tensors."""
    depth: int = 1
    inside: bool = False
    any_weights: bool = False
    """Both as for a sequence."""

    @property
    def empty(self) -> bool:
        """Whether it has no entries at all."""
        return not self.entries and not self.unnamed

    @property
    def is_state_dict(self) -> bool:
        """Whether it holds tensors, and nothing else."""
        return self.tensors > 0 and self.tensors == len(self.entries) + len(self.unnamed)


@dataclass(slots=True, eq=False)
class ByteArray:
    """A NumPy array of bytes, in the pickles that may hold one; no checkpoint may."""

    shape: tuple[int, int] = (0, 0)
    content: bytes | None = None
    """None until its state is set."""
    fortran: bool = False


Value: TypeAlias = Scalar | Global | Opaque | Sequence | Mapping | ByteArray | StorageSpec | TensorSpec
