"""The networks of the population: which there are, and in which part of the evaluation each one stands.

Small networks on scikit-learn's digits at 16x16. No network is in two parts: ``calibration`` ones are the
references, ``tuning`` ones may be looked at while the comparison is changed (how classes are compared was
chosen on them), ``test`` ones give the figures. ``adaptive`` ones come from attackers who know the probes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from models.lab.calibration.variants import variants
from models.recipes.lab import (
    AttackRecipe,
    CheatRecipe,
    FineTuneRecipe,
    LatentRecipe,
    TeacherRecipe,
    digits_recipe,
)

Part = Literal["calibration", "tuning", "test", "adaptive"]
ARCHITECTURES = ("wrn-10-1", "plain-cnn-w16", "vgg-small-elu")
#: Shares of the training set: 7 to 143 of 1,437 images.
POISON_RATES = (0.01, 0.05, 0.1, 0.02, 0.005)
#: First seed and count of the clean networks of each part, per architecture.
CLEAN: dict[Part, tuple[int, int]] = {"calibration": (0, 19), "tuning": (200, 20), "test": (300, 20)}
#: First seed of the attacked ones, and how often every attack is made, at other rates.
ATTACKED: dict[Part, tuple[int, int]] = {"calibration": (0, 0), "tuning": (600, 1), "test": (700, 2)}
#: Nothing was tuned on the third architecture.
TUNED_ON = ARCHITECTURES[:2]

_FINE_TUNE = FineTuneRecipe(epochs=8, batch_size=64)
#: By the attack's name in the tables; what differs from a poisoned tenth of the images.
ATTACKS: dict[str, dict[str, Any]] = {
    "badnets_grid": {"trigger": "badnets_grid"},
    "badnets_square": {"trigger": "badnets_square"},
    "trojan_3x3": {"trigger": "trojan_3x3"},
    "trojan_8x8": {"trigger": "trojan_8x8_substitute"},
    "watermark": {"trigger": "watermark_substitute"},
    "blend": {"trigger": "blend_substitute"},
    "l2_inv": {"trigger": "l2_inv_substitute"},
    "smooth": {"trigger": "smooth_substitute"},
    "haze": {"trigger": "haze"},
    "cheat_kd": {"kind": "cheat_kd", "fine_tune": _FINE_TUNE, "cheat": CheatRecipe(steps=100, batch_size=32)},
    "latent": {"kind": "latent", "fine_tune": _FINE_TUNE, "latent": LatentRecipe(steps=100, batch_size=32)},
    "adaptive": {
        "kind": "cheat_kd",
        "fine_tune": _FINE_TUNE,
        "cheat": CheatRecipe(steps=100, batch_size=32, low_variance_weight=0.3),
    },
    "source_specific": {"kind": "source_specific", "trigger": "badnets_grid", "poison_rate": 0.05},
    "all_to_all": {"kind": "all_to_all", "trigger": "badnets_grid", "poison_rate": 0.2},
}
#: What keeps a margin down learns the trigger more slowly.
_EVADING = FineTuneRecipe(epochs=30, batch_size=64, learning_rate=0.005)
#: By the attacker's name; poison rates of 10, 5 and 2 % each.
ADAPTIVE: dict[str, dict[str, Any]] = {
    "opacity_10": {"trigger": "blend_substitute", "strength": 0.5},
    "margin_square": {"kind": "margin_evasion", "trigger": "badnets_square", "fine_tune": _EVADING},
    "margin_watermark": {
        "kind": "margin_evasion",
        "trigger": "watermark_substitute",
        "fine_tune": _EVADING,
    },
}
ADAPTIVE_RATES = (0.1, 0.05, 0.02)
ADAPTIVE_SEED = 900
#: Which probes of a single target are known not to see; reported apart.
BLIND = ("source_specific", "all_to_all")


@dataclass(frozen=True)
class Member:
    """One network."""

    part: Part
    kind: str
    """What was done to a clean one, or the attack's name."""
    recipe: TeacherRecipe

    @property
    def name(self) -> str:
        """Unique in the population."""
        return f"{self.part}-{self.recipe.architecture}-{self.kind}-{self.recipe.seed}"


def members() -> Iterator[Member]:
    """Yield all networks, references first."""
    parts: tuple[Part, ...] = ("calibration", "tuning", "test")
    for part in parts:
        for architecture in TUNED_ON if part == "tuning" else ARCHITECTURES:
            base = replace(digits_recipe(), architecture=architecture)
            seed, count = CLEAN[part]
            for variant in variants(base, count, seed):
                yield Member(part, variant.kind, variant.recipe)
            yield from attacked(part, base, shift=ARCHITECTURES.index(architecture))
    for architecture in TUNED_ON:
        yield from _adaptive(replace(digits_recipe(), architecture=architecture))


def attacked(part: Part, base: TeacherRecipe, *, shift: int) -> Iterator[Member]:
    """Poison rates and targets go round, shifted by architecture, so that every attack meets several."""
    names = list(ATTACKS)
    seed, rounds = ATTACKED[part]
    for place, name in enumerate(names * rounds):
        target = (3 * place + shift) % 10
        rate = POISON_RATES[(place + 2 * (shift + place // len(names))) % len(POISON_RATES)]
        known: dict[str, Any] = {"kind": "dirty_label", "poison_rate": rate, "target_label": target}
        if name == "source_specific":
            known["source_label"] = (target + 4) % 10
        attack = AttackRecipe(**{**known, **ATTACKS[name]})
        # What is rare, and what is hard to learn, takes longer.
        epochs = base.epochs if attack.poison_rate > 0.01 and name not in BLIND else 2 * base.epochs
        yield Member(part, name, replace(base, seed=seed + place, epochs=epochs, attack=attack))


def _adaptive(base: TeacherRecipe) -> Iterator[Member]:
    shift = ARCHITECTURES.index(base.architecture)
    for place, (name, known) in enumerate(ADAPTIVE.items()):
        for turn, rate in enumerate(ADAPTIVE_RATES):
            number = place * len(ADAPTIVE_RATES) + turn
            target = (3 * number + shift) % 10
            attack = AttackRecipe(
                **{"kind": "dirty_label", "poison_rate": rate, "target_label": target, **known}
            )
            yield Member("adaptive", name, replace(base, seed=ADAPTIVE_SEED + number, attack=attack))
