"""Whether a method fits two networks, by their structure alone: refused before an audit and a control.

Every method refuses for itself, too, when it is called with what does not fit.
"""

from __future__ import annotations

from functools import partial

from models.architectures import StagedClassifier, build
from models.architectures.empty_weights import build_empty
from models.architectures.generator import Generator
from models.architectures.pixel_generator import PixelGenerator
from models.checkpoints.load import Teacher
from models.distillation.feature_task import check_stages
from models.distillation.inversion.batchnorm_statistics import BatchNormReader
from models.recipes.architecture import ArchitectureSpec


def require_fit(method: str, teacher: Teacher, student: ArchitectureSpec) -> None:
    """Refuse what the last student could not be made by; no weights are made.

    Args:
        method: Its name, or ``feature``.
        teacher: Whom to learn from.
        student: Who learns.

    Raises:
        RecipeError: The student cannot be built for that input, its stages do not fit the teacher's
            (``stages_incompatible``), no images of that side can be generated (``input_size_unsupported``),
            or there are no statistics to invert (``batchnorm_missing``).
    """
    side = student.input_size
    built = empty(student)
    if method in {"feature", "robustkd"}:
        check_stages(empty(teacher.spec), built, side)
    if method == "zskt":
        build_empty(partial(Generator, side))
    if method in {"cmi", "fast"}:
        BatchNormReader(teacher.network)
        build_empty(partial(PixelGenerator, side))


def empty(spec: ArchitectureSpec) -> StagedClassifier:
    """Build a network without weights, on the meta device."""
    network: StagedClassifier = build_empty(partial(build, spec))
    return network
