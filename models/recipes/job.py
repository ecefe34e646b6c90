"""One recipe for a whole job: what to probe, how to distill, when to accept the student."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, Literal

from annotated_types import Interval

from models.recipes.abd import AbdRecipe
from models.recipes.base import recipe
from models.recipes.clip import ClipRecipe
from models.recipes.cmi import CmiRecipe
from models.recipes.fast import FastRecipe
from models.recipes.ood import OodRecipe
from models.recipes.probe import ProbeRecipe
from models.recipes.protect import ProtectRecipe
from models.recipes.robustkd import RobustKDRecipe
from models.recipes.student import StudentRecipe
from models.recipes.vanilla import VanillaRecipe
from models.recipes.verify import VerifyRecipe
from models.recipes.zskt import ZsktRecipe

Method = Literal["auto", "vanilla", "ood", "zskt", "cmi", "fast", "robustkd"]
Defense = Literal["auto", "none", "abd", "clip", "abd_clip"]


@recipe
class Recipe:
    """Everything a job may be told. An empty one is complete: every field has a default, sized for minutes on
    two cores."""

    method: Method = "auto"
    """How the student learns. ``auto`` takes RobustKD when labelled clean images are given, else ``fast``, or
    ``ood`` for teachers without BatchNorm, of images beyond 32 pixels or of a side that is no multiple of 4,
    or of many multiply-accumulates."""
    defense: Defense = "auto"
    """``abd`` joins ABD to a data-free method. ``clip`` bounds the teacher's activations first, with any
    method but RobustKD, which is a defense itself. ``abd_clip`` does both, and so does ``auto`` with a
    data-free method; where the teacher has nothing to bound, ``auto`` is ABD alone."""
    control: bool = True
    """Also train an undefended student with the same data, seed and length, for comparison."""
    seed: Annotated[int, Interval(ge=0, le=2**31 - 1)] = 0
    """Seed of every random choice."""
    deterministic: bool = False
    """Train with kernels that repeat themselves bit by bit on this machine, also on several threads or a GPU;
    slower on a GPU."""
    student: StudentRecipe = field(default_factory=StudentRecipe)
    """The student's architecture."""
    probe: ProbeRecipe = field(default_factory=ProbeRecipe)
    """The audit."""
    vanilla: VanillaRecipe = field(default_factory=VanillaRecipe)
    """Distillation on clean images."""
    ood: OodRecipe = field(default_factory=OodRecipe)
    """Distillation on out-of-distribution patches."""
    zskt: ZsktRecipe = field(default_factory=ZsktRecipe)
    """Zero-shot knowledge transfer."""
    cmi: CmiRecipe = field(default_factory=CmiRecipe)
    """Contrastive model inversion."""
    fast: FastRecipe = field(default_factory=FastRecipe)
    """Fast data-free distillation."""
    abd: AbdRecipe = field(default_factory=AbdRecipe)
    """Anti-backdoor data-free distillation."""
    clip: ClipRecipe = field(default_factory=ClipRecipe)
    """The clipped teacher."""
    robustkd: RobustKDRecipe = field(default_factory=RobustKDRecipe)
    """Feature distillation from a detoxified teacher."""
    protect: ProtectRecipe = field(default_factory=ProtectRecipe)
    """Making a nasty teacher; of jobs of kind ``protect`` only."""
    verify: VerifyRecipe = field(default_factory=VerifyRecipe)
    """What is measured on the student, and what it must reach."""
