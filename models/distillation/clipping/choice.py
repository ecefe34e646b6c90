"""How tight: the tightest bounds under which the teacher still says mostly the same."""

from __future__ import annotations

import torch
from torch import Tensor

from models.checkpoints.load import Teacher
from models.data.patches import make_patches
from models.distillation.clipping.bounds import ChannelQuantiles, clipped
from models.engine.frozen import frozen
from models.engine.seed import derive_seed, make_generator
from models.recipes.clip import ClipRecipe
from models.recipes.ood import PatchStyle
from models.results.training import Decision

_BATCH = 250


def clip_teacher(
    teacher: Teacher, photographs: list[Tensor], recipe: ClipRecipe, *, style: PatchStyle, seed: int
) -> tuple[Teacher, Decision]:
    """Return a clipped copy of ``teacher``, and how its quantile was chosen.

    The surrogate images are *smooth* patches, whatever the student learns from: fine detail drives the very
    channels that a watermark drives, and bounds taken over sharp patches leave it room (docs/results.md).

    Args:
        teacher: Intact; left as it was.
        photographs: uint8 (3, H, W) each, of anything.
        recipe: Quantiles to try, and the agreement that must be left.
        style: Of the patches; that of the teacher's images.
        seed: Of patches and positions.

    Raises:
        RecipeError: ``clipping_impossible`` if the teacher has no BatchNorm.
    """
    patches = make_patches(
        photographs,
        count=2 * recipe.images,
        size=teacher.spec.input_size,
        seed=derive_seed(seed, "clipping patches"),
        style=style,
    )
    x = teacher.pixel_classifier().normalize(patches.to(teacher.device).float() / 255.0)
    measured, held_out = x[: recipe.images], x[recipe.images :]
    quantiles = ChannelQuantiles(teacher, measured, make_generator(seed, "clipping positions"))
    intact = _classes(teacher, held_out)
    tried: dict[float, float] = {}
    for quantile in sorted(recipe.quantiles):
        candidate = clipped(teacher, quantiles, quantile, recipe)
        tried[quantile] = float((_classes(candidate, held_out) == intact).float().mean())
        if tried[quantile] >= recipe.min_agreement:
            break
    return candidate, _decision(tried, recipe)


def _classes(teacher: Teacher, x: Tensor) -> Tensor:
    with frozen(teacher.network), torch.no_grad():
        return torch.cat([teacher.network(part).argmax(dim=1) for part in torch.split(x, _BATCH)])


def _decision(tried: dict[float, float], recipe: ClipRecipe) -> Decision:
    chosen = list(tried)[-1]
    agreement = tried[chosen]
    enough = agreement >= recipe.min_agreement
    text = f"The teacher's channels are bounded at their {chosen:.1%} quantile over surrogate images: " + (
        f"the tightest one tried under which it names the same class on {recipe.min_agreement:.0%} of them "
        f"or more, here on {agreement:.1%}."
        if enough
        else f"the loosest bound tried; it names the same class on {agreement:.1%} of them, "
        f"less than the {recipe.min_agreement:.0%} that were asked for."
    )
    values = {f"agreement_at_{quantile:g}": share for quantile, share in tried.items()}
    asked = {"min_agreement": recipe.min_agreement}
    return Decision(0, "clipping", text, {"quantile": chosen, "agreement": agreement, **asked, **values})
