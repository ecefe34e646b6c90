"""Which student to keep, by what can be measured without any data of the teacher's.

Two signals on pseudo images: agreement with the teacher stands for usefulness, and how often a universal
perturbation moves the student to one class stands for what a trigger could do. Neither knows the trigger, its
target or a clean image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from models.architectures import StagedClassifier
from models.distillation.abd.perturbations import Perturbations, passes
from models.engine.frozen import frozen
from models.engine.seed import make_generator
from models.recipes.abd import RetrospectionRecipe
from models.results.training import Decision

_ROUNDS = 20
_SEARCHED_IMAGES = 128
#: Shifts that are tried on all held-out images, and images that tell which: two thousand shifts (a thousand
#: classes, two shapes) on 512 images each would take longer than many trainings.
_TRIED, _RANKED_ON = 64, 16
#: Pixels of all images that are answered at once, 512 of 64 x 64; of larger images fewer are taken at a time.
_ANSWERED_PIXELS = 512 * 64 * 64


@dataclass(frozen=True)
class StudentSignals:
    """What a student shows on pseudo images."""

    agreement: float
    """Share on which it names the teacher's class."""
    flip_rate: float
    """Largest share that one perturbation moves to its class, or the universal one to any other."""


def judge(
    teacher: StagedClassifier,
    students: Sequence[StagedClassifier],
    x: Tensor,
    recipe: RetrospectionRecipe,
    *,
    seed: int,
) -> tuple[StudentSignals, ...]:
    """Measure students by the same images and perturbations.

    The perturbations are found on the teacher's answers, on the first 128 of ``x``, and tried on the others:
    all of them, or of very many the ``_TRIED`` that move the student most on a few of the first.

    Args:
        teacher: Frozen.
        students: Put into eval mode meanwhile.
        x: Pseudo images, normalized (N, 3, H, W).
        recipe: Kind and size of the perturbations.
        seed: Of their starts.
    """
    searched = min(_SEARCHED_IMAGES, len(x) // 2)
    search, held_out = x[:searched], x[searched:]
    generator = make_generator(seed, "judging")
    with torch.no_grad():
        named = _named(teacher, held_out)
        classes = teacher(x[:1]).shape[1]
        perturbations = Perturbations(recipe, classes, x.shape[1:], x.device, unit=float(search.std()))
        shortlists = [_Shortlist(student, search) for student in students]
        for _ in range(-(-perturbations.goals // perturbations.alive)):
            perturbations.restart(slice(None), generator)
            _climb_once(perturbations, teacher, search)
            for shortlist in shortlists:
                shortlist.add(perturbations)
        return tuple(_signals(shortlist, held_out, named) for shortlist in shortlists)


def _climb_once(perturbations: Perturbations, teacher: StagedClassifier, search: Tensor) -> None:
    """Climb every shift that is alive for ``_ROUNDS`` steps."""
    for turn in range(-(-perturbations.count // len(perturbations.in_play(len(search), 0)))):
        with torch.enable_grad():
            perturbations.climb(teacher, search, _ROUNDS, turn)


class _Shortlist:
    """The shifts that are tried on a student: all, or those that move it most on a few images."""

    def __init__(self, student: StagedClassifier, search: Tensor) -> None:
        self.student, self._few = student, search[:_RANKED_ON]
        self.shifts: list[tuple[float, Tensor, int | None]] = []
        """Rank, shift (1, 3, H, W), class it leads to; the last are those that move the student most."""

    def add(self, perturbations: Perturbations) -> None:
        """Take the best of what is alive now."""
        ranked = perturbations.goals * perturbations.shapes > _TRIED
        with frozen(self.student):
            clean = _named(self.student, self._few)
            for index in range(perturbations.count):
                shift = perturbations.shifts(slice(index, index + 1))
                goal = perturbations.goal(index)
                rank = _flip_rate(self.student, self._few, shift, clean, goal) if ranked else 0.0
                self.shifts.append((rank, shift.clone(), goal))
        self.shifts = sorted(self.shifts, key=lambda found: found[0])[-_TRIED:]


def _signals(shortlist: _Shortlist, held_out: Tensor, named: Tensor) -> StudentSignals:
    student = shortlist.student
    with frozen(student):
        clean = _named(student, held_out)
        flips = [_flip_rate(student, held_out, shift, clean, goal) for _, shift, goal in shortlist.shifts]
    return StudentSignals(float((clean == named).float().mean()), max(flips))


def _named(network: StagedClassifier, x: Tensor, shift: Tensor | None = None) -> Tensor:
    """Return the classes named for images, (N,), each moved by ``shift`` (1, 3, H, W) if there is one."""
    parts = [x[part] if shift is None else x[part] + shift for part in passes(x, _ANSWERED_PIXELS)]
    return torch.cat([network(part).argmax(dim=1) for part in parts])


def _flip_rate(
    student: StagedClassifier, x: Tensor, shift: Tensor, clean: Tensor, label: int | None
) -> float:
    moved = _named(student, x, shift)
    if label is None:
        return float((moved != clean).float().mean())
    elsewhere = clean != label
    return float((moved[elsewhere] == label).float().mean()) if elsewhere.any() else 0.0


def wants_retrospection(
    signals: StudentSignals, recipe: RetrospectionRecipe, *, vaccinated: bool, step: int
) -> Decision:
    """Decide whether retrospection runs; ``values["run"]`` is 1 or 0."""
    follows = signals.flip_rate > recipe.max_flip_rate
    run = recipe.run == "always" or (recipe.run == "auto" and (follows or not vaccinated))
    if recipe.run != "auto":
        why = f"the recipe says {recipe.run}"
    elif not vaccinated:
        why = "no vaccine is in use"
    else:
        relation = "over" if follows else "not over"
        why = f"a perturbation moves {signals.flip_rate:.1%} of images, {relation} {recipe.max_flip_rate:.1%}"
    text = f"Self-Retrospection {'runs' if run else 'does not run'}: {why}."
    return Decision(step, "retrospection", text, {**asdict(signals), "run": float(run)})


def choose_student(
    before: StudentSignals, after: StudentSignals, recipe: RetrospectionRecipe, *, step: int
) -> Decision:
    """Decide which student is kept; ``values["retrospected"]`` is 1 or 0.

    The retrospected one, unless it follows perturbations more than the other, or lost more than
    ``max_agreement_loss`` of its agreement with the teacher.
    """
    lost = before.agreement - after.agreement
    keep = after.flip_rate <= before.flip_rate and lost <= recipe.max_agreement_loss
    text = (
        f"The student {'after' if keep else 'before'} retrospection is kept: it took the flip rate "
        f"from {before.flip_rate:.1%} to {after.flip_rate:.1%} and agreement with the teacher "
        f"from {before.agreement:.1%} to {after.agreement:.1%}."
    )
    values = {
        **{f"before_{name}": value for name, value in asdict(before).items()},
        **{f"after_{name}": value for name, value in asdict(after).items()},
        "retrospected": float(keep),
    }
    return Decision(step, "student_choice", text, values)
