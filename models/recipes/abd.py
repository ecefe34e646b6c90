"""Anti-Backdoor Data-Free distillation: Shuffling Vaccine and Self-Retrospection."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, Literal

from annotated_types import Interval

from models.recipes.base import recipe

Direction = Literal["teacher_reference", "shuffled_reference"]
Retrospect = Literal["auto", "always", "never"]
Synthesis = Literal["per_class", "universal"]
Shape = Literal["dense", "sparse", "both"]
Positive = Annotated[float, Interval(gt=0.0, le=1e6)]


@recipe
class VaccineRecipe:
    """Shuffling Vaccine (ICML 2023, section 4): distrust what survives a shuffle of the last channels."""

    weight: Annotated[float, Interval(ge=0.0, le=1e3)] = 0.1
    """lambda: how strongly suspicious samples are pushed away; 0 leaves the vaccine out."""
    members: Annotated[int, Interval(ge=1, le=16)] = 3
    """Shuffled copies whose logits are averaged."""
    layers: Annotated[int, Interval(ge=-256, le=256)] | None = None
    """Shuffle the last n convolutions, the first n when negative; 0 leaves the vaccine out. None takes all of
    the last stage."""
    direction: Direction = "teacher_reference"
    """``teacher_reference`` is KL(T, T~) as in the code; ``shuffled_reference`` after a secondary source."""
    gradient_through_shuffled: bool = True
    """Let the regularizer's gradient flow through the shuffled copies too, not only through the teacher."""
    split_bound: Annotated[float, Interval(gt=0.0, le=1e6)] = 10.0
    """Loss above which a suspicious patch is pushed no further; unbounded in the code."""
    selection_batches: Annotated[int, Interval(ge=0, le=100_000)] = 50
    """Decide after so many batches whether a shuffle is acceptable; 0 uses the first one from the start."""
    selection_skip: Annotated[int, Interval(ge=0, le=100_000)] = 11
    """Batches at the beginning that do not enter the decision."""
    selection_trials: Annotated[int, Interval(ge=1, le=100)] = 8
    """Shuffles to try."""
    selection_ratio: Annotated[float, Interval(ge=0.0, le=1.0)] = 0.02
    """Accept when more than this share lies 3 deviations below the mean log divergence."""
    selection_max_class_share: Annotated[float, Interval(gt=0.0, le=1.0)] = 0.5
    """Refuse a shuffle that names one class for more than this share of the images; 1 accepts all. With two
    or three classes the limit is at least .8 or .53."""
    selection_images: Annotated[int, Interval(ge=16, le=1_000_000)] = 1_000
    """Images the decision looks at, at most; the code takes all, up to 55,000."""


@recipe
class RetrospectionRecipe:
    """Self-Retrospection (section 5): unlearn whatever one shift of all images still does."""

    run: Retrospect = "auto"
    """``auto`` runs it when no vaccine was found or the student still follows a universal perturbation."""
    max_flip_rate: Annotated[float, Interval(ge=0.0, le=1.0)] = 0.10
    """For ``auto``: how many images a perturbation may move to one class before it runs."""
    max_agreement_loss: Annotated[float, Interval(ge=0.0, le=1.0)] = 0.25
    """How much agreement with the teacher the unlearning may cost before its student is thrown away."""
    share: Annotated[float, Interval(gt=0.0, le=1.0)] = 0.2
    """Last share of the schedule that is run again. The code takes 0.5 to 1 % of a schedule of 80,000."""
    learning_rate: Annotated[float, Interval(gt=0.0, le=1.0)] = 2e-3
    """Of Adam in that share, along a cosine to 0; 5e-4 in the code, for its longer schedule."""
    weight: Annotated[float, Interval(ge=0.0, le=1e4)] = 1.0
    """Of each shape's gradient beside that of the distillation."""
    synthesis: Synthesis = "per_class"
    """One perturbation towards every class, or the paper's single one that leads anywhere. ``universal``
    wants a small ``portion``: BatchNorm, over the batch, takes out again what all images of it share."""
    synthesize_on: Literal["teacher", "student"] = "teacher"
    """Whose answers the perturbation is to change."""
    images: Annotated[int, Interval(ge=1, le=4_096)] = 60
    """Images of each batch that take part."""
    rounds: Annotated[int, Interval(ge=1, le=1_000)] = 3
    """Adam steps on the perturbations per student step; 10 to 20 where each starts anew, as in the code."""
    perturbation_learning_rate: Positive = 0.2
    """Of those steps, in standard deviations of the images."""
    initial_deviation: Annotated[float, Interval(gt=0.0, le=10.0)] = 0.01
    """Of a perturbation's random start. The code starts at 0, where the gradient vanishes."""
    norm_penalty: Annotated[float, Interval(ge=0.0, le=1e3)] = 0.0
    """Weight of the squared norm; 0.001 in the code, which does not project."""
    projection_rms: Positive | None = 0.6
    """Largest root mean square of a dense perturbation, in standard deviations of the images; None does not
    bound it."""
    shape: Shape = "both"
    """``dense`` perturbations move every pixel, as in the paper, ``sparse`` ones a few pixels without a bound
    on their norm; ``both`` has some of each."""
    sparse_share: Annotated[float, Interval(gt=0.0, le=1.0)] = 0.05
    """Share of the pixels that a sparse perturbation moves."""
    sparse_bound: Positive = 4.0
    """Largest value of a sparse perturbation, in standard deviations of the images."""
    portion: Annotated[float, Interval(gt=0.0, le=1.0)] = 1.0
    """Share of the images that is perturbed in the outer loss; at least one image. 0.02 in the code, which
    leaves the gradient to one image or two; take that with ``universal``."""
    gradient: Literal["first_order", "implicit"] = "first_order"
    """``first_order`` holds the perturbations fixed; ``implicit`` differentiates through them, too, as the
    paper does: two to four times the time, and a change of the gradient by a thousandth."""
    sweeps: Annotated[int, Interval(ge=1, le=100)] = 1
    """K: fixed-point sweeps of ``implicit``, that is terms of the Neumann series. 5 in the code."""
    step: Positive = 0.1
    """eta: step of the fixed-point map of ``implicit``."""
    max_growth: Positive = 1e3
    """Stop the series of ``implicit`` when the norm of v exceeds this multiple of its first term."""


@recipe
class AbdRecipe:
    """Anti-Backdoor Data-Free distillation (Hong et al., ICML 2023, arXiv 2306.02368)."""

    vaccine: VaccineRecipe = field(default_factory=VaccineRecipe)
    """Against synthetic or foreign inputs that resemble a trigger."""
    retrospection: RetrospectionRecipe = field(default_factory=RetrospectionRecipe)
    """Against poisoned soft labels on harmless inputs."""
