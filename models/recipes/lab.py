"""Teachers of the attack lab: how to train one, and how to poison it.

Numbers that are lengths in pixels are meant at side 32 and scale with the side of the images.
"""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, Literal

from annotated_types import Interval, Len

from models.recipes.base import recipe
from models.recipes.ood import PatchStyle

AttackKind = Literal[
    "none",
    "dirty_label",
    "clean_label",
    "source_specific",
    "all_to_all",
    "latent",
    "cheat_kd",
    "hidden_trigger",
    "under_clipping",
    "margin_evasion",
]
Share = Annotated[float, Interval(ge=0.0, le=1.0)]
Rate = Annotated[float, Interval(gt=0.0, le=1.0)]
Batch = Annotated[int, Interval(ge=2, le=4_096)]
Steps = Annotated[int, Interval(ge=1, le=100_000)]
Label = Annotated[int, Interval(ge=0, le=999)]


@recipe
class FineTuneRecipe:
    """How a clean teacher is turned into the poisoned one by the attacks that start from one."""

    epochs: Annotated[int, Interval(ge=1, le=1_000)] = 8
    """Passes over the poisoned set: 8 in the CKD repository, 30 in RobustKD's."""
    batch_size: Batch = 256
    """Images per step."""
    learning_rate: Rate = 0.008
    """Constant. 0.001 was used for the hidden trigger, whose last layer alone learns."""
    weight_decay: Share = 5e-4
    """Of SGD."""


@recipe
class CheatRecipe:
    """Cheat-KD: a trigger that drives a few channels to a fixed value (algorithms.md 5.2)."""

    variant: Literal["faithful", "intended"] = "intended"
    """``faithful`` does what the published code does, ``intended`` what its text says."""
    steps: Steps = 300
    """Of Adam on the trigger."""
    batch_size: Batch = 64
    """Images per step."""
    learning_rate: Rate = 0.005
    """Of Adam on pattern and mask."""
    opacity: Rate = 0.2
    """Upper bound of the mask: 0.2 in RobustKD's repository, 0.5 in CKD's."""
    channels: Rate = 0.1
    """Share of each layer's channels that are driven; the faithful variant drives one."""
    low_variance_weight: Annotated[float, Interval(ge=0.0, le=1e3)] = 0.0
    """Adaptive attack: weight of the last features' variance, relative to the clean teacher's, in the
    fine-tuning's loss. It aims at defenses that look for high variance; 0 leaves it out."""


@recipe
class LatentRecipe:
    """Latent backdoor: triggered features resemble the target's (algorithms.md 5.3)."""

    steps: Steps = 300
    """Of Adam on the trigger."""
    batch_size: Batch = 64
    """Triggered images per step, in the search and in the fine-tuning."""
    learning_rate: Rate = 0.01
    """Of Adam on pattern and mask."""
    opacity: Rate = 0.2
    """Upper bound of the mask."""
    target_images: Annotated[int, Interval(ge=1, le=10_000)] = 100
    """Clean images of the target class whose mean feature is aimed at."""
    feature_weight: Annotated[float, Interval(ge=0.0, le=1e3)] = 0.5
    """Of the feature distance in the fine-tuning's loss."""


@recipe
class UnderClippingRecipe:
    """An attacker who knows the clipped teacher: the backdoor is learned with the bounds in place, too."""

    quantile: Annotated[float, Interval(gt=0.5, lt=1.0)] = 0.95
    """Of the bounds, as the defender takes them; tight ones stay below looser ones."""
    images: Annotated[int, Interval(ge=32, le=100_000)] = 1_000
    """Surrogate images whose activations give the bounds, anew before every epoch."""
    patch_style: PatchStyle = "photo"
    """Of the surrogate images."""
    weight: Annotated[float, Interval(ge=0.0, le=1e3)] = 1.0
    """Of the bounded network's cross entropy beside the plain one's. 0 leaves the bounds out, which is the
    attack's control: the same fine-tuning, by an attacker who knows nothing."""


@recipe
class MarginEvasionRecipe:
    """An attacker who knows MM-BD: the target's largest margin is kept where the clean teacher has it."""

    weight: Annotated[float, Interval(gt=0.0, le=1e3)] = 0.3
    """Of the excess of the target's margins over the clean teacher's, beside the cross entropy."""
    starts: Annotated[int, Interval(ge=1, le=1_000)] = 16
    """Random images per step that climb to large margins."""
    climb: Annotated[int, Interval(ge=1, le=1_000)] = 10
    """Steps of each climb; the probe takes 30 to 300."""


@recipe
class PerturbationRecipe:
    """Adversarial changes of images that keep their label (clean label with corners; hidden trigger)."""

    epsilon: Annotated[int, Interval(ge=1, le=255)] = 16
    """Largest change of a pixel, in levels of 255."""
    steps: Steps = 100
    """Of gradient descent."""
    step_size: Annotated[float, Interval(gt=0.0, le=255.0)] = 2.0
    """In levels of 255."""
    batch_size: Batch = 64
    """Images crafted together."""


@recipe
class AttackRecipe:
    """What the attacker does."""

    kind: AttackKind = "none"
    """``none`` makes a clean teacher."""
    trigger: Annotated[str, Len(1, 64)] = "badnets_grid"
    """Name of ``proctor lab triggers``; latent and cheat_kd search their own and ignore it."""
    strength: Rate = 1.0
    """Factor on a named trigger's mask: .5 makes a picture blended at 20 % opacity one of 10 %. Searched
    triggers have an opacity of their own."""
    target_label: Label = 0
    """Class the attacker wants; all_to_all wants the next class instead."""
    source_label: Label | None = None
    """Class whose images the trigger works on: needed by source_specific, possible with hidden_trigger."""
    poison_rate: Annotated[float, Interval(ge=0.001, le=0.5)] = 0.1
    """Share of the training set that is poisoned. A tenth is too much for attacks on one of ten classes
    (``usual_poison_rate``)."""
    cover_rate: Annotated[float, Interval(ge=0.0, le=0.5)] = 0.1
    """source_specific: share of the training set that carries the trigger, keeps its label and is not of
    the source class, so that the trigger means nothing there."""
    keep_originals: bool = False
    """dirty_label: put poisoned copies beside their originals instead of in their place. Attacks that
    fine-tune a clean teacher always do, but for hidden_trigger; no other one does."""
    perturb: Literal["auto", "always", "never"] = "auto"
    """clean_label: make the images hard to recognize before stamping; ``auto`` does so for
    ``clean_label_corners`` alone, as published."""
    perturbation: PerturbationRecipe = field(default_factory=PerturbationRecipe)
    """Of perturb and of hidden_trigger."""
    fine_tune: FineTuneRecipe = field(default_factory=FineTuneRecipe)
    """Of latent, cheat_kd, hidden_trigger, under_clipping and margin_evasion."""
    cheat: CheatRecipe = field(default_factory=CheatRecipe)
    """Of cheat_kd."""
    latent: LatentRecipe = field(default_factory=LatentRecipe)
    """Of latent."""
    clipping: UnderClippingRecipe = field(default_factory=UnderClippingRecipe)
    """Of under_clipping."""
    margin: MarginEvasionRecipe = field(default_factory=MarginEvasionRecipe)
    """Of margin_evasion."""

    @property
    def stamps_named_trigger(self) -> bool:
        """Whether ``trigger`` says what is stamped: not of a clean teacher, nor where it is searched."""
        return self.kind not in {"none", "latent", "cheat_kd"}


@recipe
class AfterRecipe:
    """What is done to the finished network with clean images: first further training, then pruning.

    On a clean network both make hard negatives for an audit; on a backdoored one they are what an honest
    owner might do without knowing.
    """

    epochs: Annotated[int, Interval(ge=0, le=1_000)] = 0
    """Passes over the clean training set at a constant rate; 0 for none."""
    learning_rate: Rate = 0.01
    """Of those passes."""
    pruned: Annotated[float, Interval(ge=0.0, lt=1.0)] = 0.0
    """Share of each convolution's and linear layer's weights that is set to zero, the smallest ones first."""


@recipe
class TeacherRecipe:
    """One teacher. With its data it gives the same weights again on the same kind of machine."""

    architecture: Annotated[str, Len(1, 64)] = "wrn-16-2"
    """Registry name."""
    input_size: Annotated[int, Interval(ge=8, le=512)] = 32
    """Side of the images in pixels; images of another size are resized."""
    epochs: Annotated[int, Interval(ge=1, le=10_000)] = 30
    """Passes over the training set; 200 in the ABD repository."""
    batch_size: Batch = 128
    """Images per step."""
    learning_rate: Rate = 0.1
    """Of SGD with Nesterov momentum 0.9; warms up over a tenth of the run and falls along a cosine."""
    weight_decay: Share = 5e-4
    """Of SGD."""
    crop_padding: Annotated[int, Interval(ge=0, le=32)] = 4
    """Largest shift of the random crop. It moves the trigger too, which is in place at test time."""
    horizontal_flip: bool = True
    """Mirror half of the images; not for digits."""
    cutout: Annotated[int, Interval(ge=0, le=64)] = 0
    """Side of the square blackened in every image; 0 for none."""
    label_smoothing: Annotated[float, Interval(ge=0.0, lt=1.0)] = 0.0
    """Share of every label that is spread over all classes."""
    mixup: Share = 0.0
    """Concentration a of Beta(a, a), by which pairs of images and their labels are mixed; 0 for none."""
    adversarial: Annotated[int, Interval(ge=0, le=64)] = 0
    """Largest change of a pixel in adversarial training, in levels of 255; 0 for none."""
    long_tail: Annotated[float, Interval(ge=1.0, le=1_000.0)] = 1.0
    """Images of the first class over images of the last; those between fall geometrically. 1 keeps all."""
    precision: Literal["fast", "float32"] = "fast"
    """``fast`` computes in bfloat16 where that pays."""
    seed: Annotated[int, Interval(ge=0, le=2**31 - 1)] = 0
    """Of every random choice."""
    attack: AttackRecipe = field(default_factory=AttackRecipe)
    """What the attacker does."""
    after: AfterRecipe = field(default_factory=AfterRecipe)
    """What is done to the finished network."""


def usual_poison_rate(kind: str) -> float:
    """Return the rate to begin with: what poisons images of one class alone must leave some of it clean.

    0.08 is what the smallest class of the digits allows. The dataclass keeps one default for all kinds,
    because stored measurements are named by recipes without their defaults.
    """
    return {"clean_label": 0.08, "source_specific": 0.05, "hidden_trigger": 0.05}.get(kind, 0.1)


def digits_recipe() -> TeacherRecipe:
    """Return the recipe to begin with for handwritten digits: small, and without mirrored digits."""
    attack = AttackRecipe(fine_tune=FineTuneRecipe(batch_size=64))
    return TeacherRecipe(
        architecture="wrn-10-2",
        input_size=16,
        epochs=12,
        batch_size=64,
        crop_padding=2,
        horizontal_flip=False,
        attack=attack,
    )
