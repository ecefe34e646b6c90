"""Which normalization stands before the network: declared, named by the file, by the library, or fitted."""

from __future__ import annotations

from dataclasses import dataclass

from models.checkpoints.codes import rejection
from models.checkpoints.infer_architecture import InferredArchitecture
from models.checkpoints.named_in_file import NamedInFile, usable_normalization
from models.checkpoints.normalization_fit import IDENTITY, fit_normalization
from models.checkpoints.scan import ScannedCheckpoint
from models.recipes.architecture import Normalization
from models.results.inspection import NormalizationSource

_IDENTITY_WARNING = (
    "No normalization was declared: the network is given pixels in [0, 1] as they are. If it was trained on "
    "(pixels - mean) / std, declare mean and std, or every figure will be wrong."
)
_SUGGESTED_WARNING = (
    "No normalization was declared: the one is used that the library names for its published weights of this "
    "architecture. If yours were trained with another, declare mean and std, or every figure will be wrong."
)
_NAMED_WARNING = "No normalization was declared: the one is used that the file names in its header."
#: bfloat16 arrives as bare bits; such checkpoints are rare enough to be asked for their normalization.
_COMPARABLE = ("F16", "F32", "F64")


@dataclass(frozen=True, slots=True)
class _Choice:
    """A normalization, whose it is, and what to say about it."""

    normalization: Normalization
    source: NormalizationSource
    name: str
    remarks: tuple[str, ...] = ()


def declared_normalization(
    mean: tuple[float, float, float] | None, std: tuple[float, float, float] | None
) -> Normalization | None:
    """Return what the user declared; None if it is nothing.

    Raises:
        CheckpointRejected: ``normalization_invalid``, if it is half of one or cannot be used.
    """
    if mean is None and std is None:
        return None
    if mean is None or std is None:
        raise rejection("normalization_invalid", "Only one of mean and std was declared.")
    usable = usable_normalization(mean, std)
    if usable is None:
        raise rejection("normalization_invalid", f"Mean {mean} and std {std} cannot be used.")
    return usable


def choose_normalization(
    scanned: ScannedCheckpoint, inferred: InferredArchitecture, declared: Normalization | None
) -> tuple[Normalization, NormalizationSource, tuple[str, ...]]:
    """Decide which normalization is used, and say what the weights say about it.

    A declared one is used even when the weights speak against it: the user may know what we do not. So is
    one that the file names of itself: who deploys the file will follow it too.

    Args:
        scanned: The weights, and what the file says of itself.
        inferred: Which tensor is which, and what the library of the architecture suggests.
        declared: The user's.

    Returns:
        The normalization, where it comes from, and remarks for the user.
    """
    first = _first_choice(scanned.named, inferred, declared)
    arrays = {
        name: scanned.tensors[source].array
        for name, source in inferred.key_map.items()
        if source is not None and scanned.tensors[source].dtype.tag in _COMPARABLE
    }
    fit = fit_normalization(arrays, first.normalization)
    if fit is None or not fit.wrong:
        return first.normalization, first.source, first.remarks
    also = f", {' and '.join(fit.also)} about as well," if fit.also else ""
    told = (
        f"The first BatchNorm fits {fit.best_name} (distance {fit.best_distance:.2f}){also} and not "
        f"{first.name} ({fit.distance:.2f})."
    )
    if first.source in {"declared", "file"}:
        checked = f"{told} Check mean and std: every figure depends on them."
        return first.normalization, first.source, (*first.remarks, checked)
    return fit.best, "estimated", (f"{told} It is used, because no normalization was declared.",)


def _first_choice(
    named: NamedInFile, inferred: InferredArchitecture, declared: Normalization | None
) -> _Choice:
    if declared:
        return _Choice(declared, "declared", "the declared normalization")
    if named.normalization:
        return _Choice(named.normalization, "file", "the one that the file names", (_NAMED_WARNING,))
    suggested = inferred.layout.normalization
    if suggested:
        return _Choice(suggested, "library", "the one that the library names", (_SUGGESTED_WARNING,))
    return _Choice(IDENTITY, "assumed", "pixels in [0, 1] as they are", (_IDENTITY_WARNING,))
