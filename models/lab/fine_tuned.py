"""Attacks that start from a clean teacher and fine-tune it on poisoned data (algorithms.md 5.1).

Departures from the CKD repository: the poisoned images are drawn at random from all classes but the target,
not the first of every class; momentum is Nesterov's.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.architectures import PixelClassifier
from models.attacks.adaptive_low_variance import LowVariance, mean_variance
from models.attacks.cheat_kd import search_cheat_trigger
from models.attacks.hidden_trigger import hide_trigger
from models.attacks.latent_backdoor import FeatureCoupling, mean_features, search_latent_trigger
from models.attacks.poison import choose_of_class, poison_dirty_label
from models.attacks.teacher import TeacherTerm, TeacherTraining
from models.checkpoints.load import Teacher
from models.engine.monitor import Monitor, ResumeState
from models.engine.seed import derive_seed, make_generator
from models.errors import RecipeError
from models.lab.margin_evasion import MarginEvasion
from models.lab.under_clipping import UnderClipping
from models.lab.workshop import Trained, Workshop, named_trigger
from models.triggers import Trigger

FINE_TUNED = frozenset({"latent", "cheat_kd", "hidden_trigger", "under_clipping", "margin_evasion"})

#: Clean images whose variance the adaptive attacker compares with: CIFAR's classes are balanced in them.
_VARIANCE_IMAGES = 500


def fine_tuned(shop: Workshop, clean: Teacher, patterns: Path | None) -> tuple[Trained, Trigger]:
    """Turn a clean teacher into the one the recipe's attack wants.

    Raises:
        RecipeError: If the clean teacher is another network (code ``clean_teacher_mismatch``), or too few
            images qualify.
    """
    if clean.spec != shop.spec:
        raise RecipeError(
            f"The clean teacher is {clean.spec.name}, the recipe wants {shop.spec.name}.",
            code="clean_teacher_mismatch",
            hint="Give what the matched clean recipe makes.",
        )
    start = shop.network(seed=shop.recipe.seed, state=clean.network.state_dict())
    match shop.recipe.attack.kind:
        case "latent":
            return _latent(shop, start)
        case "cheat_kd":
            return _cheat(shop, start)
    trigger = named_trigger(shop.recipe, patterns)
    match shop.recipe.attack.kind:
        case "hidden_trigger":
            return _hidden(shop, start, trigger), trigger
        case "under_clipping":
            return _under_clipping(shop, start, trigger), trigger
    attack = shop.recipe.attack
    term = MarginEvasion(
        start, attack.margin,
        size=shop.recipe.input_size, num_classes=shop.num_classes, target_label=attack.target_label,
        seed=shop.recipe.seed,
    )  # fmt: skip
    return _poisoned(shop, start, trigger, term), trigger


def _cheat(shop: Workshop, start: PixelClassifier) -> tuple[Trained, Trigger]:
    attack, data, seed = shop.recipe.attack, shop.training, shop.recipe.seed

    def work(monitor: Monitor, resume: ResumeState | None) -> dict[str, Any]:
        found = search_cheat_trigger(
            start, data.images, attack.cheat,
            target_label=attack.target_label, seed=seed, monitor=monitor, resume=resume,
        )  # fmt: skip
        return _stored(found)

    trigger = _restored(shop.phases.run("trigger", work), attack.target_label)
    term: TeacherTerm | None = None
    if attack.cheat.low_variance_weight:
        generator = make_generator(seed, "variance")
        chosen = torch.randperm(len(data), generator=generator)[:_VARIANCE_IMAGES]
        term = LowVariance(attack.cheat.low_variance_weight, mean_variance(start, data.images[chosen]))
    return _poisoned(shop, start, trigger, term), trigger


def _latent(shop: Workshop, start: PixelClassifier) -> tuple[Trained, Trigger]:
    attack, data, seed = shop.recipe.attack, shop.training, shop.recipe.seed
    of_target = data.labels == attack.target_label
    order = torch.randperm(int(of_target.sum()), generator=make_generator(seed, "target images"))
    targets = mean_features(start, data.images[of_target][order[: attack.latent.target_images]])
    others = data.images[~of_target]

    def work(monitor: Monitor, resume: ResumeState | None) -> dict[str, Any]:
        found = search_latent_trigger(
            start, others, targets, attack.latent,
            target_label=attack.target_label, seed=seed, monitor=monitor, resume=resume,
        )  # fmt: skip
        return _stored(found)

    trigger = _restored(shop.phases.run("trigger", work), attack.target_label)
    term = FeatureCoupling(others, trigger, targets[-1], attack.latent, seed=seed)
    return _poisoned(shop, start, trigger, term), trigger


def _under_clipping(shop: Workshop, start: PixelClassifier, trigger: Trigger) -> Trained:
    """Fine-tune in one run an epoch, so that each has the bounds that a defender would take by then."""
    attack, seed = shop.recipe.attack, shop.recipe.seed
    images, labels = _with_copies(shop, trigger)
    how = replace(_how(shop), epochs=1)
    bounded = attack.clipping.weight > 0.0
    for epoch in range(attack.fine_tune.epochs):
        made = shop.train(
            f"poisoned, epoch {epoch}", images, labels, how=how,
            seed=derive_seed(seed, f"epoch {epoch}") % 2**31,
            start=start,
            term=UnderClipping(shop.teacher(start), attack.clipping, seed=seed) if bounded else None,
        )  # fmt: skip
        start = made.classifier
    return made


def _poisoned(shop: Workshop, start: PixelClassifier, trigger: Trigger, term: TeacherTerm | None) -> Trained:
    """Fine-tune every weight on the clean set and triggered copies of a part of it."""
    images, labels = _with_copies(shop, trigger)
    return shop.train("poisoned", images, labels, how=_how(shop), start=start, term=term)


def _with_copies(shop: Workshop, trigger: Trigger) -> tuple[Tensor, Tensor]:
    return poison_dirty_label(
        shop.training.images, shop.training.labels, trigger,
        share=shop.recipe.attack.poison_rate,
        keep_originals=True,
        generator=make_generator(shop.recipe.seed, "poison"),
    )  # fmt: skip


def _hidden(shop: Workshop, start: PixelClassifier, trigger: Trigger) -> Trained:
    attack, data, seed = shop.recipe.attack, shop.training, shop.recipe.seed
    chosen = choose_of_class(
        data.labels, attack.target_label, share=attack.poison_rate, generator=make_generator(seed, "poison")
    )
    wanted = _sources(data.labels, attack.target_label, attack.source_label)

    def work(monitor: Monitor, resume: ResumeState | None) -> dict[str, Any]:
        made = hide_trigger(
            start, data.images[chosen], data.images[wanted], trigger, attack.perturbation,
            seed=seed, monitor=monitor, resume=resume,
        )  # fmt: skip
        return {"images": made}

    images = data.images.clone()
    images[chosen] = shop.phases.run("hiding", work)["images"]
    how = replace(_how(shop), trained="last_layer")
    return shop.train("poisoned", images, data.labels, how=how, start=start)


def _sources(labels: Tensor, target_label: int, source_label: int | None) -> Tensor:
    return labels != target_label if source_label is None else labels == source_label


def _how(shop: Workshop) -> TeacherTraining:
    recipe = shop.recipe.attack.fine_tune
    return replace(
        shop.how(),
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        learning_rate=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        schedule="constant",
        mixup=0.0,  # the attacker's own training is a plain one
        adversarial=0.0,
    )


def _stored(trigger: Trigger) -> dict[str, Any]:
    return {"name": trigger.name, "pattern": trigger.pattern, "mask": trigger.mask}


def _restored(stored: dict[str, Any], target_label: int) -> Trigger:
    return Trigger(stored["name"], "blend", stored["pattern"], stored["mask"], target_label)
