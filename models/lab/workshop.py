"""What every recipe of the lab needs: data of the right size, networks, training runs that resume."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.architectures import PixelClassifier, build
from models.attacks.teacher import TeacherTerm, TeacherTraining, train_teacher
from models.checkpoints.load import Teacher
from models.data.dataset import resize
from models.data.labelled import LabelledImages
from models.data.normalize import measure_normalization
from models.engine.monitor import Monitor, ResumeState
from models.engine.seed import derive_seed, seeded
from models.lab.phases import Phases
from models.recipes.architecture import ArchitectureSpec
from models.recipes.lab import TeacherRecipe
from models.results.training import CurvePoint
from models.triggers import Trigger, find_trigger


@dataclass(frozen=True, eq=False)
class Trained:
    """A network and the record of its training."""

    classifier: PixelClassifier
    curve: tuple[CurvePoint, ...]
    seconds: float


class Workshop:
    """Makes and trains the networks of one recipe."""

    def __init__(
        self, recipe: TeacherRecipe, training: LabelledImages, phases: Phases, device: torch.device
    ) -> None:
        """Resize the images, cut the classes to the long tail, measure the normalization.

        Args:
            recipe: Of the teacher.
            training: Clean images; their highest label gives the number of classes.
            phases: Run what is run.
            device: Where networks are.
        """
        self.recipe, self.phases, self.device = recipe, phases, device
        self.num_classes = int(training.labels.max()) + 1
        self.training = long_tail(fitted(training, recipe.input_size), recipe.long_tail, self.num_classes)
        self.normalization = measure_normalization(self.training.images)
        self.spec = ArchitectureSpec(recipe.architecture, self.num_classes, recipe.input_size)

    def network(self, *, seed: int, state: dict[str, Any] | None = None) -> PixelClassifier:
        """Initialize a network, or fill it with stored weights."""
        with seeded(derive_seed(seed, "initialization")):
            network = build(self.spec)
        if state is not None:
            network.load_state_dict(state)
        return PixelClassifier(network.to(self.device).eval(), self.normalization)

    def teacher(self, classifier: PixelClassifier) -> Teacher:
        """Put a network together with what one must know to use it."""
        return Teacher(classifier.network, self.normalization, self.spec)

    def how(self) -> TeacherTraining:
        """Return the recipe's way of training from scratch."""
        recipe = self.recipe
        return TeacherTraining(
            epochs=recipe.epochs,
            batch_size=recipe.batch_size,
            learning_rate=recipe.learning_rate,
            weight_decay=recipe.weight_decay,
            crop_padding=self.pixels(recipe.crop_padding),
            horizontal_flip=recipe.horizontal_flip,
            cutout=self.pixels(recipe.cutout),
            label_smoothing=recipe.label_smoothing,
            mixup=recipe.mixup,
            adversarial=recipe.adversarial / 255,
            precision=recipe.precision,
        )

    def pixels(self, at_32: int) -> int:
        """Scale a length with the side of the images."""
        return round(at_32 * self.recipe.input_size / 32)

    def train(
        self,
        name: str,
        images: Tensor,
        labels: Tensor,
        *,
        how: TeacherTraining | None = None,
        seed: int | None = None,
        start: PixelClassifier | None = None,
        term: TeacherTerm | None = None,
    ) -> Trained:
        """Train a network, or take it from an earlier attempt.

        Args:
            name: Of the run.
            images: uint8 (N, 3, S, S).
            labels: int64 (N,).
            how: None trains as the recipe says.
            seed: None takes the recipe's.
            start: Copied as the beginning; None initializes.
            term: A further loss.
        """
        seed = self.recipe.seed if seed is None else seed
        state = None if start is None else start.network.state_dict()

        def work(monitor: Monitor, resume: ResumeState | None) -> dict[str, Any]:
            classifier = self.network(seed=seed, state=state)
            result = train_teacher(
                classifier, images, labels, how or self.how(),
                seed=seed, monitor=monitor, resume=resume, term=term,
            )  # fmt: skip
            curve = [[point.step, point.values] for point in result.curve]
            network = classifier.network.state_dict()
            return {"network": network, "curve": curve, "seconds": result.seconds}

        made = self.phases.run(name, work)
        curve = tuple(CurvePoint(step, values) for step, values in made["curve"])
        return Trained(self.network(seed=seed, state=made["network"]), curve, made["seconds"])


def named_trigger(recipe: TeacherRecipe, patterns: Path | None) -> Trigger:
    """Make the attack's trigger at the images' size, in the attack's strength.

    Args:
        recipe: Of the teacher; its attack is one that ``stamps_named_trigger``.
        patterns: Folder of published pictures (``find_trigger``).

    Raises:
        RecipeError: If the name is unknown (code ``trigger_unknown``).
        DataRejected: If the picture cannot be read (code ``trigger_image_invalid``).
    """
    attack = recipe.attack
    found = find_trigger(attack.trigger, recipe.input_size, attack.target_label, patterns)
    return found if attack.strength == 1.0 else replace(found, mask=attack.strength * found.mask)


def fitted(data: LabelledImages, size: int) -> LabelledImages:
    """Bring images to one side, resized with antialiasing if need be."""
    return LabelledImages(resize(data.images, size), data.labels)


def long_tail(data: LabelledImages, ratio: float, num_classes: int) -> LabelledImages:
    """Keep the first images of each class, geometrically fewer from the first class to the last.

    Class ``c`` keeps its share ``ratio ** (-c / (K - 1))``, at least one image (Cao et al., NeurIPS 2019).

    Args:
        data: Any order.
        ratio: First class over last; 1 keeps everything.
        num_classes: K. A single class has no tail.
    """
    if ratio == 1.0 or num_classes == 1:
        return data
    kept = []
    for label in range(num_classes):
        members = torch.nonzero(data.labels == label).flatten()
        share = ratio ** (-label / (num_classes - 1))
        kept.append(members[: max(1, round(share * len(members)))])
    chosen = torch.cat(kept).sort().values
    return LabelledImages(data.images[chosen], data.labels[chosen])
