"""Zero-shot knowledge transfer as published (algorithms.md 2.1), with or without ABD's vaccine (1.2).

What it wastes: images and teacher answers are made again in each of the ten student steps, the student's
backward pass runs on into the generator, and the generator step computes gradients of the teacher's and the
student's weights that nobody uses.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as f
from torch.nn.utils import clip_grad_norm_

from models.architectures import StagedClassifier
from models.distillation.abd.shuffling_vaccine import permute_input_channels


def kl(teacher: Tensor, student: Tensor, temperature: float = 1.0) -> Tensor:
    """Mean over batch and classes: PyTorch's ``mean``, which warns that it will change its meaning."""
    log_q = f.log_softmax(student / temperature, dim=1)
    return f.kl_div(log_q, f.softmax(teacher / temperature, dim=1), reduction="none").mean()


def attention(activation: Tensor) -> Tensor:
    return f.normalize(activation.pow(2).mean(1).view(activation.size(0), -1))


class PublishedVaccine:
    """Whole copies of the teacher with shuffled last stages, each run from the pixels on."""

    def __init__(self, teacher: StagedClassifier, *, members: int = 3, weight: float = 0.1) -> None:
        self.weight = weight
        self.copies = [copy.deepcopy(teacher).requires_grad_(False).eval() for _ in range(members)]
        generator = torch.Generator().manual_seed(0)
        for member in self.copies:
            for convolution in member.stage_convolutions(len(member.stage_channels) - 1):
                permute_input_channels(convolution, generator)

    def shuffled(self, x: Tensor) -> Tensor:
        return torch.stack([member(x) for member in self.copies]).mean(0)

    def regularizer(self, x: Tensor, teacher_logits: Tensor) -> Tensor:
        shuffled = self.shuffled(x)
        mask = shuffled.argmax(1) == teacher_logits.argmax(1)
        each = f.kl_div(
            f.log_softmax(shuffled, dim=1), f.softmax(teacher_logits, dim=1), reduction="none"
        ).mean(1)
        return -self.weight * each[mask].mean() if mask.any() else x.new_zeros(())


@dataclass
class PublishedZskt:
    """Teacher, student and generator; ``pseudo_batch`` is one round."""

    teacher: StagedClassifier
    student: StagedClassifier
    generator: nn.Module
    pseudo_batches: int
    vaccine: PublishedVaccine | None = None
    student_steps: int = 10
    attention_weight: float = 250.0
    clip_norm: float = 5.0
    student_learning_rate: float = 2e-3
    generator_learning_rate: float = 1e-3
    divergence: Callable[[Tensor, Tensor], Tensor] = kl
    attention_map: Callable[[Tensor], Tensor] = attention
    fused: bool = False

    def __post_init__(self) -> None:
        self.teacher.eval()
        self.student.train()
        self.generator.train()
        self.student_optimizer = torch.optim.Adam(
            self.student.parameters(), lr=self.student_learning_rate, fused=self.fused
        )
        self.generator_optimizer = torch.optim.Adam(
            self.generator.parameters(), lr=self.generator_learning_rate, fused=self.fused
        )
        self.schedulers = [
            torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.pseudo_batches)
            for optimizer in (self.generator_optimizer, self.student_optimizer)
        ]

    def pseudo_batch(self, noise: Tensor) -> None:
        """One generator step, then the student steps, all on ``noise`` (N, noise_size)."""
        self._generator_step(noise)
        for _ in range(self.student_steps):
            self._student_step(noise)
        for scheduler in self.schedulers:
            scheduler.step()

    def _generator_step(self, noise: Tensor) -> None:
        self.generator_optimizer.zero_grad()
        x = self.generator(noise)
        teacher_logits = self.teacher.forward_stages(x).logits
        loss = -self.divergence(teacher_logits, self.student.forward_stages(x).logits)
        if self.vaccine is not None:
            loss = loss + self.vaccine.regularizer(x, teacher_logits)
        loss.backward()
        clip_grad_norm_(self.generator.parameters(), self.clip_norm)
        self.generator_optimizer.step()

    def _student_step(self, noise: Tensor) -> None:
        x = self.generator(noise)
        with torch.no_grad():
            answers = self.teacher.forward_stages(x)
        own = self.student.forward_stages(x)
        loss = self.divergence(answers.logits, own.logits)
        if self.attention_weight:
            for mine, other in zip(own.stages, answers.stages, strict=True):
                apart = self.attention_map(mine) - self.attention_map(other)
                loss = loss + self.attention_weight * apart.square().mean()
        self.student_optimizer.zero_grad()
        loss.backward()
        clip_grad_norm_(self.student.parameters(), self.clip_norm)
        self.student_optimizer.step()
