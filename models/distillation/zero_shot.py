"""Zero-shot knowledge transfer: a generator seeks images on which student and teacher disagree.

Per pseudo-batch: one noise, one generator step, then several student steps on the images it makes of that
noise. Source: Micaelli and Storkey, NeurIPS 2019, after ABD's code (algorithms.md 2.1). The code regenerates
images and teacher logits in each student step and lets the student's backward pass run into the generator;
here they are made once and detached, 3.6 times cheaper and equal (a generator in train mode answers equal
noise equally). ``benchmarks/published/zskt.py`` is that loop; a test compares the students.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from models.architectures import StagedClassifier
from models.architectures.generator import Generator
from models.checkpoints.load import Teacher
from models.distillation.abd.distiller import run_data_free
from models.distillation.data_free import ScheduledAdam, answer, finish, wants_compiling
from models.distillation.defense import Defense, NoDefense
from models.distillation.distilled import Distilled
from models.distillation.losses import attention_distance, attention_map, element_divergence
from models.engine.compiled import maybe_compiled
from models.engine.frozen import frozen
from models.engine.monitor import Monitor, ResumeState
from models.engine.precision import autocast, bfloat16_pays, to_channels_last
from models.engine.seed import derive_seed, make_generator, seeded
from models.recipes.abd import AbdRecipe
from models.recipes.zskt import ZsktRecipe


def distill_zskt(
    teacher: Teacher,
    student: StagedClassifier,
    recipe: ZsktRecipe,
    *,
    defense: AbdRecipe | None,
    seed: int,
    monitor: Monitor,
    resume: ResumeState | None = None,
) -> Distilled:
    """Train ``student`` to answer as the teacher does on generated images.

    Args:
        teacher: Whom to learn from; frozen meanwhile.
        student: Freshly initialized; trained in place.
        recipe: Length, rates and weights.
        defense: ABD, or None for the undefended student.
        seed: Of noise, generator and the defense.
        monitor: Told of every pseudo-batch.
        resume: A state that the monitor was offered by a run of the same arguments.

    Raises:
        RecipeError: ``input_size_unsupported`` if the input's side is not a multiple of 4.
        TrainingFailed: If the loss is not finite.
        Interrupted: If the monitor asks to stop.
    """
    with frozen(teacher.network):
        task = ZsktTask(teacher, student, recipe, seed=seed)
        result, decisions = run_data_free(task, defense, seed=seed, monitor=monitor, resume=resume)
    # Of the stretch that ABD runs twice, the student that is kept knows one run.
    seen = task.steps * recipe.batch_size * recipe.student_steps
    return finish(student, result, seen, decisions)


class ZsktTask:
    """A generator and a student; one step is one pseudo-batch."""

    def __init__(
        self,
        teacher: Teacher,
        student: StagedClassifier,
        recipe: ZsktRecipe,
        *,
        seed: int,
    ) -> None:
        """Build the generator and plan the run; arguments as of ``distill_zskt``, the teacher frozen."""
        self.teacher = teacher.network
        self.student = student
        self.recipe = recipe
        self.seed = seed
        self.defense: Defense = NoDefense()
        self.steps = recipe.pseudo_batches
        self.device = next(student.parameters()).device
        self.fast = bfloat16_pays(self.device)
        with seeded(derive_seed(seed, "generator")):
            generator = Generator(teacher.spec.input_size, recipe.noise_size, recipe.generator_width)
        self.generator = generator.to(self.device).train()
        rates = (recipe.student_learning_rate, recipe.generator_learning_rate)
        self.optimizer = ScheduledAdam(list(student.parameters()), rates[0], "cosine", self.steps)
        self.generator_optimizer = ScheduledAdam(
            list(self.generator.parameters()), rates[1], "cosine", self.steps
        )
        for network in (student, self.teacher, self.generator):
            to_channels_last(network)
        side = teacher.spec.input_size
        self.attends = recipe.attention_weight > 0.0 and self._stages_match(side)
        images = self.steps * recipe.batch_size * recipe.student_steps
        wanted = wants_compiling(recipe.compile, student, side, images)
        self.student_loss = maybe_compiled(self._student_loss, self.device, wanted=wanted)

    def step(self, index: int) -> Mapping[str, Tensor]:
        """Take one generator step and several student steps on the same noise."""
        noise = self._noise(self.recipe.batch_size, f"noise {index}")
        disagreement, vaccine = self._generator_step(noise, index)
        with torch.no_grad(), autocast(self.device, self.fast):
            x = self.generator(noise).float()
            outputs = self.teacher.forward_stages(x)
        target = outputs.logits.float()
        maps = [attention_map(stage) for stage in outputs.stages] if self.attends else []
        self.defense.observe(index, x, target)
        for _ in range(self.recipe.student_steps):
            loss, agreement = self._student_step(x, target, maps, index)
        return {
            "loss": loss,
            "disagreement": disagreement,
            "vaccine_term": vaccine,
            "agreement": agreement,
            **self.defense.scalars(),
        }

    def _generator_step(self, noise: Tensor, index: int) -> tuple[Tensor, Tensor]:
        """Move the generator to more disagreement, less whatever the defense objects to."""
        # Train mode, as in the code: the student's running statistics see these images too.
        self.student.train().requires_grad_(False)
        with autocast(self.device, self.fast):
            x = self.generator(noise)
            logits, stages = answer(self.teacher, x)
            answers = self.student(x)
        disagreement = element_divergence(logits, answers, self.recipe.temperature)
        term = self.defense.generator_term(x.float(), logits.float(), stages)
        self.generator_optimizer.zero_grad()
        (term - disagreement).backward()  # type: ignore[no-untyped-call]
        clip_grad_norm_(self.generator.parameters(), self.recipe.clip_norm)
        self.generator_optimizer.step(index)
        self.student.requires_grad_(True)
        return disagreement.detach(), term.detach()

    def _student_step(
        self, x: Tensor, target: Tensor, maps: list[Tensor], index: int
    ) -> tuple[Tensor, Tensor]:
        self.student.train()
        loss, logits = self.student_loss(x, target, maps)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.defense.add_gradients(x, 1.0 / target.shape[1])
        clip_grad_norm_(self.student.parameters(), self.recipe.clip_norm)
        self.optimizer.step(index)
        agreement = (logits.argmax(dim=1) == target.argmax(dim=1)).float().mean()
        # A copy: the next replay of a CUDA graph writes its loss where this one lies.
        return loss.detach().clone(), agreement

    def _student_loss(self, x: Tensor, target: Tensor, maps: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Return the student's loss and its logits (N, K)."""
        with autocast(self.device, self.fast):
            outputs = self.student.forward_stages(x)
        loss = element_divergence(target, outputs.logits, self.recipe.temperature)
        if self.attends:
            loss = loss + self.recipe.attention_weight * attention_distance(outputs.stages, maps)
        return loss, outputs.logits

    def pseudo_images(self, count: int, stream: str) -> Tensor:
        """Generate ``count`` images, normalized (count, 3, S, S), in batches of the training's size."""
        noise = self._noise(count, f"pseudo {stream}")
        with torch.no_grad(), autocast(self.device, self.fast):
            # The generator stays in train mode, as its students know it, so its buffers move: put them back.
            kept = {name: buffer.clone() for name, buffer in self.generator.named_buffers()}
            images = [self.generator(part).float() for part in torch.split(noise, self.recipe.batch_size)]
            for name, buffer in self.generator.named_buffers():
                buffer.copy_(kept[name])
        return torch.cat(images)

    def postpone(self, steps: int) -> None:
        """Let the generator's rate reach its end later."""
        self.generator_optimizer.postpone(steps)

    def state_dict(self) -> dict[str, Any]:
        """Return both networks, both optimizers and the defense."""
        return {
            "student": self.student.state_dict(),
            "generator": self.generator.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator_optimizer": self.generator_optimizer.state_dict(),
            "defense": self.defense.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state from ``state_dict``."""
        self.student.load_state_dict(state["student"])
        self.generator.load_state_dict(state["generator"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator_optimizer.load_state_dict(state["generator_optimizer"])
        self.defense.load_state_dict(state["defense"])

    def _noise(self, count: int, stream: str) -> Tensor:
        generator = make_generator(self.seed, stream)
        return torch.randn(count, self.recipe.noise_size, generator=generator).to(self.device)

    @torch.no_grad()
    def _stages_match(self, side: int) -> bool:
        x = torch.zeros(1, 3, side, side, device=self.device)
        with frozen(self.student):
            pairs = (self.student.forward_stages(x).stages, self.teacher.forward_stages(x).stages)
        return [s.shape[2:] for s in pairs[0]] == [s.shape[2:] for s in pairs[1]]
