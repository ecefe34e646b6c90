"""Recipes of a few steps, for networks of ``small``."""

from __future__ import annotations

from models.recipes.abd import AbdRecipe, RetrospectionRecipe, VaccineRecipe
from models.recipes.cmi import CmiRecipe
from models.recipes.fast import FastRecipe
from models.recipes.pool_learning import PoolLearningRecipe

LEARNING = PoolLearningRecipe(batch_size=8)

#: 3 rounds of 3 + 2 steps.
CMI = CmiRecipe(
    rounds=3,
    synthesis_steps=3,
    synthesis_batch=8,
    student_steps=2,
    noise_size=8,
    generator_width=8,
    projection_size=8,
    negatives=6,
    learning=LEARNING,
)

#: 1 round of 3 steps, then 3 of 3 + 1.
FAST = FastRecipe(
    rounds=4,
    warmup_rounds=1,
    synthesis_steps=3,
    synthesis_batch=8,
    student_steps=1,
    noise_size=8,
    generator_width=8,
    learning=LEARNING,
)

#: Decides in the first quarter, and runs the last third again.
ABD = AbdRecipe(
    VaccineRecipe(
        members=2, selection_batches=2, selection_skip=0, selection_ratio=-1.0, selection_max_class_share=1.0
    ),
    RetrospectionRecipe(run="always", share=1 / 3, images=8, rounds=1),
)
