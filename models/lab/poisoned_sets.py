"""From a clean training set to the one that an attack on data alone wants."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from models.attacks.label_consistent import perturb_against
from models.attacks.poison import (
    choose_of_class,
    choose_of_others,
    poison_all_to_all,
    poison_clean_label,
    poison_dirty_label,
    poison_source_specific,
)
from models.engine.monitor import Monitor, ResumeState
from models.engine.seed import derive_seed, make_generator
from models.errors import RecipeError
from models.lab.workshop import Workshop
from models.triggers import Trigger

#: The published trigger whose images are made hard to recognize before they are stamped.
_PERTURBED_TRIGGER = "clean_label_corners"


def poisoned_set(shop: Workshop, trigger: Trigger) -> tuple[Tensor, Tensor]:
    """Poison the shop's training set as its recipe says.

    Returns:
        images uint8 (N, 3, S, S), labels int64 (N,).

    Raises:
        RecipeError: If too few images qualify (code ``too_many_poisoned``), or the source is missing.
    """
    attack, data = shop.recipe.attack, shop.training
    generator = make_generator(shop.recipe.seed, "poison")
    if attack.kind == "clean_label":
        images = _perturbed(shop) if _is_perturbed(shop) else data.images
        # The same stream chooses the same images: those that were perturbed are those that are stamped.
        return poison_clean_label(images, data.labels, trigger, share=attack.poison_rate, generator=generator)
    if attack.kind == "source_specific":
        return poison_source_specific(
            data.images, data.labels, trigger,
            source_label=source_label(shop), share=attack.poison_rate, cover_share=attack.cover_rate,
            generator=generator,
        )  # fmt: skip
    if attack.kind == "all_to_all":
        return poison_all_to_all(
            data.images, data.labels, trigger,
            num_classes=shop.num_classes, share=attack.poison_rate, generator=generator,
        )  # fmt: skip
    return poison_dirty_label(
        data.images, data.labels, trigger,
        share=attack.poison_rate, keep_originals=attack.keep_originals, generator=generator,
    )  # fmt: skip


def check_victims(shop: Workshop) -> None:
    """Raise what poisoning would raise, before anything is trained: nothing is stamped.

    Raises:
        RecipeError: If too few images qualify (code ``too_many_poisoned``), none would be poisoned (code
            ``poison_amount_invalid``), or the source is missing.
    """
    attack, labels = shop.recipe.attack, shop.training.labels
    generator = make_generator(shop.recipe.seed, "poison")
    target, rate = attack.target_label, attack.poison_rate
    if attack.kind in {"clean_label", "hidden_trigger"}:
        choose_of_class(labels, target, share=rate, generator=generator)
    elif attack.kind == "source_specific":
        source = source_label(shop)
        choose_of_class(labels, source, share=rate, generator=generator)
        if attack.cover_rate > 0:
            choose_of_others(labels, (source, target), share=attack.cover_rate, generator=generator)
    elif attack.kind != "none":
        but = () if attack.kind == "all_to_all" else (target,)
        choose_of_others(labels, but, share=rate, generator=generator)


def source_label(shop: Workshop) -> int:
    """Return the recipe's source class.

    Raises:
        RecipeError: ``source_missing`` if it names none.
    """
    label = shop.recipe.attack.source_label
    if label is None:
        raise RecipeError(
            "A source-specific attack needs a source class.",
            code="source_missing",
            hint="Set attack.source_label.",
        )
    return label


def _is_perturbed(shop: Workshop) -> bool:
    attack = shop.recipe.attack
    if attack.perturb == "auto":
        return attack.trigger == _PERTURBED_TRIGGER
    return attack.perturb == "always"


def _perturbed(shop: Workshop) -> Tensor:
    """Return the training images, those to be stamped changed against an independent network."""
    attack, data = shop.recipe.attack, shop.training
    chosen = choose_of_class(
        data.labels,
        attack.target_label,
        share=attack.poison_rate,
        generator=make_generator(shop.recipe.seed, "poison"),
    )
    other = shop.train(
        "independent", data.images, data.labels, seed=derive_seed(shop.recipe.seed, "independent") % 2**31
    )

    def work(monitor: Monitor, resume: ResumeState | None) -> dict[str, Any]:
        changed = perturb_against(
            other.classifier, data.images[chosen], data.labels[chosen], attack.perturbation,
            seed=shop.recipe.seed, monitor=monitor, resume=resume,
        )  # fmt: skip
        return {"images": changed}

    images = data.images.clone()
    images[chosen] = shop.phases.run("perturbation", work)["images"]
    return images
