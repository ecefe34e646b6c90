"""Which architecture a state dict belongs to, from names and shapes alone, checked to the last tensor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from models.checkpoints.codes import printable, rejection
from models.checkpoints.described import DescribedTable
from models.checkpoints.layouts.family import Family, Reading
from models.checkpoints.layouts.layout import COUNTER, Layout, Shape
from models.checkpoints.layouts.library import LibraryFamily
from models.checkpoints.layouts.mobile import MobileNetV2Family, ShuffleNetV2Family
from models.checkpoints.layouts.plain import PLAIN_CNN_FAMILY, VGG_FAMILY
from models.checkpoints.layouts.preact import PreactFamily
from models.checkpoints.layouts.pyramid import PyramidFamily
from models.checkpoints.layouts.residual import LIBRARY_RESNET_FAMILY, RESNET_FAMILY, RESNEXT_FAMILY
from models.checkpoints.layouts.resnet_cifar import ResNetCifarFamily
from models.checkpoints.layouts.vgg_small import VggSmallFamily
from models.checkpoints.layouts.wide_resnet import WideResNetFamily
from models.errors import CheckpointRejected
from models.recipes.architecture import MAX_INPUT_SIZE, ArchitectureSpec

FAMILIES: tuple[Family, ...] = (
    WideResNetFamily(),
    ResNetCifarFamily(),
    RESNET_FAMILY,
    RESNEXT_FAMILY,
    LIBRARY_RESNET_FAMILY,
    LibraryFamily(),
    PreactFamily(),
    PyramidFamily(),
    MobileNetV2Family(),
    ShuffleNetV2Family(),
    VGG_FAMILY,
    PLAIN_CNN_FAMILY,
    VggSmallFamily(),
)

_MAX_DIFFERENCES = 20
_ASSUMED_CLASSES = 10
_COMMON_SIZE = 224
_INFERRED_HINT = (
    "The architecture was inferred. Declare another if it is wrong, save the state dict of an unchanged "
    "network, or describe a network of your own by a layer list (docs/formats.md)."
)
_LAYER_LIST = "the layer list"
_LAYER_LIST_HINT = (
    "Correct the layer list: each name is the prefix of its layer's tensors in the state dict, without a "
    "wrapper's module., and every tensor belongs to a layer."
)


@dataclass(frozen=True, slots=True)
class InferredArchitecture:
    """The architecture, and where each of its tensors is in the file."""

    spec: ArchitectureSpec
    key_map: dict[str, str | None]
    """The file's name of every canonical name; None for a BatchNorm counter the file does not have."""
    source: Literal["declared", "inferred"]
    layout: Layout
    warnings: tuple[str, ...]
    dropped: tuple[str, ...] = ()
    """Modules in the file that only serve training."""


def infer_architecture(
    shapes: Mapping[str, Shape],
    *,
    declared: str | None,
    num_classes: int | None,
    input_size: int | None,
    outside: Family | None = None,
) -> InferredArchitecture:
    """Find the registry's architecture that the tensors fill exactly.

    Args:
        shapes: Shape of every tensor by the file's name, without wrapper prefixes.
        declared: Registry name that the user gives; None infers it.
        num_classes: The user's number of classes; None reads it from the classifier.
        input_size: Side of the user's images in pixels; None reads it, or assumes what the family
            is usually given.
        outside: The family of a declared name that is in none of ours.

    Raises:
        CheckpointRejected: ``architecture_unknown``, ``architecture_ambiguous`` or ``architecture_mismatch``.
    """
    if declared is None:
        family, reading = _recognize(shapes, input_size)
    else:
        family = outside or _family_of(declared)
        readings = family.read(shapes)
        named = next((one for one in readings if one.name == declared), None)
        reading = named or next(iter(readings), None) or _unread(declared, num_classes, shapes)
    if num_classes is not None and reading.num_classes not in {0, num_classes}:
        raise _mismatch(
            f"the classifier has {reading.num_classes:,} outputs, not the declared {num_classes:,}",
            hint=_other_number("number of classes", reading.num_classes),
        )
    if input_size is not None and reading.input_size not in {None, input_size}:
        raise _mismatch(
            f"the weights are for {reading.input_size} x {reading.input_size} pixels, not {input_size}",
            hint=_other_number("input size", reading.input_size),
        )
    spec = _spec(reading, declared or reading.name, num_classes, input_size)
    _check_numbers(spec)
    layout = family.lay_out(spec)
    if layout is None:
        raise rejection(
            "architecture_unknown", f"There is no {printable(spec.name)} for {spec.input_size} pixels a side."
        )
    key_map = _match(layout, shapes, reading.renamed, hint="" if declared else _INFERRED_HINT)
    dropped = tuple(sorted({name.partition(".")[0] for name in layout.auxiliary if name in shapes}))
    warnings = (*_warnings(key_map, reading, input_size), *layout.remarks)
    source: Literal["declared", "inferred"] = "declared" if declared else "inferred"
    return InferredArchitecture(spec, key_map, source, layout, warnings, dropped)


def match_described(
    shapes: Mapping[str, Shape], table: DescribedTable, *, num_classes: int | None, input_size: int | None
) -> InferredArchitecture:
    """Pair the tensors that a layer list describes with the file's.

    Args:
        shapes: Shape of every tensor by the file's name, without wrapper prefixes.
        table: What follows from the layer list.
        num_classes: The user's number of classes, if given as well.
        input_size: Side of the user's images in pixels, if given as well.

    Raises:
        CheckpointRejected: ``architecture_mismatch``, with up to 20 differences.
    """
    for said, described, what, number in (
        (num_classes, table.num_classes, "classes", "number of classes"),
        (input_size, table.input_size, "pixels a side", "input size"),
    ):
        if said not in {None, described}:
            difference, hint = f"it has {described} {what}, not {said}", _other_number(number, described)
            raise _mismatch(difference, name=_LAYER_LIST, hint=hint)
    spec = ArchitectureSpec(table.name, table.num_classes, table.input_size)
    in_file = {table.sources[name]: shape for name, shape in table.shapes.items()}
    sources, differences = _compare(Layout(spec, in_file, table.macs), shapes, {})
    if differences:
        raise _mismatch(*differences, name=_LAYER_LIST, hint=_LAYER_LIST_HINT)
    key_map = {name: sources[table.sources[name]] for name in table.shapes}
    reading = Reading(table.name, table.num_classes, table.input_size, {})
    return InferredArchitecture(
        spec,
        key_map,
        "declared",
        Layout(spec, table.shapes, table.macs),
        _warnings(key_map, reading, input_size),
    )


def _recognize(shapes: Mapping[str, Shape], input_size: int | None) -> tuple[Family, Reading]:
    """Find the one member that the tensors look like, or else the one whose table they fill exactly."""
    readings = [(family, reading) for family in FAMILIES for reading in family.read(shapes)]
    if not readings:
        known = ", ".join(family.title for family in FAMILIES)
        sample = ", ".join(printable(name) for name in list(shapes)[:3])
        raise rejection(
            "architecture_unknown",
            f"The {len(shapes)} tensors ({sample}, ...) fit no architecture of the registry.",
            hint=f"Layouts that are read: {known}. The names must be those of the public checkpoints. "
            "A network of your own needs a layer list.",
        )
    if len(readings) == 1:
        return readings[0]
    exact = [(family, reading) for family, reading in readings if _fits(family, reading, shapes, input_size)]
    if len(exact) != 1:
        names = ", ".join(reading.name for _, reading in exact or readings)
        raise rejection("architecture_ambiguous", f"The tensors look like each of {names}.")
    return exact[0]


def _fits(family: Family, reading: Reading, shapes: Mapping[str, Shape], input_size: int | None) -> bool:
    layout = family.lay_out(_spec(reading, reading.name, None, input_size))
    return layout is not None and not _compare(layout, shapes, reading.renamed)[1]


def _spec(reading: Reading, name: str, num_classes: int | None, input_size: int | None) -> ArchitectureSpec:
    return ArchitectureSpec(
        name=name,
        num_classes=reading.num_classes or num_classes or 0,
        input_size=reading.input_size or input_size or reading.usual_size,
    )


def _family_of(declared: str) -> Family:
    for family in FAMILIES:
        # Any size that every family accepts will do: only the name is asked about here.
        if family.lay_out(ArchitectureSpec(declared, num_classes=2, input_size=_COMMON_SIZE)) is not None:
            return family
    known = ", ".join(family.title for family in FAMILIES)
    raise rejection(
        "architecture_unknown",
        f"There is no architecture called {printable(declared)!r}.",
        hint=f"Choose one of: {known}.",
    )


def _unread(declared: str, num_classes: int | None, shapes: Mapping[str, Shape]) -> Reading:
    """Name the family the weights do belong to, else let every difference to the declared one be listed."""
    for family in FAMILIES:
        for other in family.read(shapes):
            raise rejection(
                "architecture_mismatch",
                f"The weights are not those of {printable(declared)}: they look like {other.name}.",
                hint=f"Declare {other.name}, or leave the architecture out: it is then inferred.",
            )
    # The names of the declared family are not there, so its number of classes cannot be read either.
    return Reading(declared, num_classes or _ASSUMED_CLASSES, None, {})


def _check_numbers(spec: ArchitectureSpec) -> None:
    if spec.num_classes == 0:
        missing = "the last layer, the classifier, is missing; a whole network is needed"
        raise _mismatch(missing, hint="Save the whole network's state dict, with its last layer.")
    if not 2 <= spec.num_classes <= 1000:
        outputs = f"the classifier has {spec.num_classes:,} outputs; between 2 and 1,000 are accepted"
        raise _mismatch(outputs, hint="A network with another number of classes cannot be read.")
    if not 8 <= spec.input_size <= MAX_INPUT_SIZE:
        pixels = f"the input is {spec.input_size:,} pixels a side; 8 to {MAX_INPUT_SIZE} are accepted"
        raise _mismatch(pixels, hint="Declare an input size in between.")


def _match(
    layout: Layout, shapes: Mapping[str, Shape], renamed: Mapping[str, str], *, hint: str
) -> dict[str, str | None]:
    """Pair every canonical name with the file's name; refuse unless the two tables are equal."""
    key_map, differences = _compare(layout, shapes, renamed)
    if differences:
        raise _mismatch(*differences, name=layout.spec.name, hint=hint)
    return key_map


def _compare(
    layout: Layout, shapes: Mapping[str, Shape], renamed: Mapping[str, str]
) -> tuple[dict[str, str | None], list[str]]:
    """Pair every canonical name with the file's name, and tell every difference of the two tables."""
    found: dict[str, str] = {}
    surplus = []
    for name in shapes:
        if found.setdefault(renamed.get(name, name), name) != name:
            surplus.append(name)
    differences: list[str] = []
    key_map: dict[str, str | None] = {}
    for name, shape in layout.shapes.items():
        source = found.pop(name, None)
        key_map[name] = source
        if source is None and not name.endswith(COUNTER):
            differences.append(f"{name} {list(shape)} is missing")
        elif source is not None and tuple(shapes[source]) != shape:
            differences.append(f"{printable(source)} is {list(shapes[source])} instead of {list(shape)}")
    for name, shape in (*layout.constants.items(), *layout.auxiliary.items()):
        source = found.pop(name, None)
        if source is not None and not _alike(shapes[source], shape):
            differences.append(f"{printable(source)} is {list(shapes[source])} instead of {list(shape)}")
    differences += [
        f"{printable(source)} {list(shapes[source])} is unexpected" for source in (*found.values(), *surplus)
    ]
    return key_map, differences


def _alike(found: Shape, wanted: Shape) -> bool:
    return len(found) == len(wanted) and all(b in {-1, a} for a, b in zip(found, wanted, strict=True))


def _other_number(what: str, read: int | None) -> str:
    """Say what to do where a declared number is wrong, in words for users of HTTP and of options."""
    return f"Leave the {what} out, or declare {read}."


def _mismatch(
    *differences: str, name: str = "the registry's architecture", hint: str = ""
) -> CheckpointRejected:
    shown = "; ".join(differences[:_MAX_DIFFERENCES])
    more = f"; and {len(differences) - _MAX_DIFFERENCES} more" if len(differences) > _MAX_DIFFERENCES else ""
    return rejection(
        "architecture_mismatch", f"The weights are not those of {name}: {shown}{more}.", hint=hint
    )


def _warnings(key_map: Mapping[str, str | None], reading: Reading, input_size: int | None) -> tuple[str, ...]:
    warnings = []
    absent = sum(source is None for source in key_map.values())
    if absent:
        warnings.append(
            f"{absent} BatchNorm step counters are not in the file and were set to 0; outputs ignore them."
        )
    if reading.input_size is None and input_size is None:
        warnings.append(
            f"The weights do not tell the input size; {reading.usual_size} pixels a side are assumed"
            f"{reading.usual_because}. Declare input_size if the network was trained on another."
        )
    return tuple(warnings)
