"""What to do next: what follows from the student, from the teacher's answers, and the audit's advice."""

from __future__ import annotations

from models.results.audit import AuditResult
from models.results.training import Decision
from models.results.verification import VerificationResult

STILL_BACKDOORED = (
    "Do not deploy this student: a trigger succeeds on it more often than the recipe tolerates. Try another "
    "defense (abd, clip or abd_clip), another data-free method (ood, zskt, cmi or fast) or another seed. "
    "With labelled clean images auto chooses RobustKD, which took one backdoor here and left half of "
    "another (docs/results.md)."
)
#: The field of the recipe that says how much a student of each method sees.
LENGTH_FIELDS = {
    "ood": "ood.images",
    "zskt": "zskt.pseudo_batches",
    "cmi": "cmi.rounds",
    "fast": "fast.rounds",
    "vanilla": "vanilla.images",
    "robustkd": "robustkd.feature.max_images",
}
#: Three WRN-16-2 and a small VGG of .77 to .82: .61 to .73 where patches make .30 (docs/results.md).
BETTER_THAN_PATCHES = (
    " Or take method fast, which needs a teacher with BatchNorm, or zskt for 1,500 pseudo-batches, which "
    "takes longer (both draw sides that are multiples of 4 pixels): without a defense their students of "
    "CIFAR-10 networks kept .79 to .89 of the accuracy, those of patches .4."
)
LEARNS_FROM_CLEAN_IMAGES = frozenset({"vanilla", "robustkd"})

ONLY_IN_THE_STUDENT = (
    "Before you deploy this student, find out why a class stands out in it and not in the teacher: train it "
    "longer, or with another method or seed, and see whether the class stays; try a suspected trigger on it."
)


def too_weak(method: str, *, clean_images: bool) -> str:
    """Say how a student comes closer to its teacher; as for ``next_steps``."""
    more = f"raise {LENGTH_FIELDS[method]}" if method in LENGTH_FIELDS else "let it see more images"
    if method in LEARNS_FROM_CLEAN_IMAGES:
        more += ", or give more clean images"
    elif not clean_images:
        more += ", or give labelled clean images of the kind the teacher was made for"
    better = BETTER_THAN_PATCHES if method == "ood" else ""
    return f"The student falls short of its teacher by more than the recipe tolerates: {more}.{better}"


def too_tight(clipping: Decision | None) -> str:
    """Say that a student's teacher was clipped to another one; nothing where its bounds left enough.

    Args:
        clipping: How the bounds were chosen, if the student learned behind some.
    """
    if clipping is None or clipping.values["agreement"] >= clipping.values.get("min_agreement", 0.0):
        return ""
    return (
        "No bounds that were tried left the teacher as it is: the student learned from a clipped copy that "
        f"names the teacher's class on {clipping.values['agreement']:.0%} of surrogate images, where "
        f"{clipping.values['min_agreement']:.0%} were asked for. Take defense abd, or add a looser quantile, "
        "such as .999, to clip.quantiles."
    )


def price_of_bounds(verification: VerificationResult | None, clipping: Decision | None) -> str:
    """Say that the undefended student would have been good enough, where its teacher was clipped.

    Args:
        verification: Of the students, if there are any.
        clipping: As for ``too_tight``, which speaks where bounds left too little.
    """
    if verification is None or clipping is None or too_tight(clipping):
        return ""
    usefulness, by_role = verification.usefulness, {each.role: each for each in verification.networks}
    teacher, control = by_role["teacher"], by_role.get("undefended")
    if control is None or usefulness.passed is not False:
        return ""
    if control.accuracy is None or teacher.accuracy is None:
        kept, of = control.agreement.value, "agrees with the teacher on {:.0%} of the images"
    else:
        kept, of = control.accuracy.value / teacher.accuracy.value, "keeps {:.0%} of the teacher's accuracy"
    if kept < usefulness.limit:
        return ""
    agreed = clipping.values["agreement"]
    return (
        f"The undefended student {of.format(kept)}, so what is missing is the price of the defense. The copy "
        f"that the student learned from, with clipped activations, names the teacher's class on {agreed:.0%} "
        f"of surrogate images: ask for more by clip.min_agreement, which leaves more of a backdoor, too, or "
        "take defense abd."
    )


def next_steps(
    audit: AuditResult | None,
    verification: VerificationResult | None,
    *,
    method: str = "",
    clean_images: bool = False,
    clipping: Decision | None = None,
) -> tuple[str, ...]:
    """Return sentences, the most urgent first.

    Args:
        audit: Of the teacher, if the job made one.
        verification: Of the students, if there are any.
        method: By which the students were made, if there are any.
        clean_images: Whether some were given.
        clipping: As for ``too_tight``.
    """
    checks = () if verification is None else verification.checks
    failed = [check.name for check in checks if check.passed is False]
    attacked = [name for name in failed if name.startswith("success of")]
    lines = [STILL_BACKDOORED] if attacked else []
    if len(failed) > len(attacked):
        lines += filter(None, [too_tight(clipping), price_of_bounds(verification, clipping)])
        lines.append(too_weak(method, clean_images=clean_images))
    if verification is not None and verification.warnings:
        lines.append(ONLY_IN_THE_STUDENT)
    if audit is None:
        return tuple(lines)
    learning = audit.undistillable
    # The section on learning is far down, and "No backdoor detected" reads like leave to distill.
    ruinous = () if learning is None or learning.word != "detected" else learning.advice
    return (*lines, *ruinous, *audit.advice)
