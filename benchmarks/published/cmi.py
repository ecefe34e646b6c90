"""Contrastive model inversion as published (algorithms.md 2.2): a synthesis iteration and a distilling one.

What it wastes: gradients of the teacher's and the student's weights are computed where only generator, noise
and head are moved; the views are resampled even where they are shifted by whole pixels. All in float32. With
the vaccine the three shuffled copies see every global view (1.2). The bank is full from the start, of random
features: how long a step takes does not depend on them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as f

from benchmarks.published.zskt import PublishedVaccine
from models.architectures import StagedClassifier

NEGATIVES = 4_096
TEMPERATURE = 20.0


class CmiGenerator(nn.Module):
    """Noise (N, 256) to pixels (N, 3, S, S) in [0, 1]."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.seed = nn.Linear(256, 128 * (side // 4) ** 2)
        self.shape = (-1, 128, side // 4, side // 4)
        self.layers = nn.Sequential(
            nn.BatchNorm2d(128),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(128, 128, 3, 1, 1, bias=False),
            nn.BatchNorm2d(128),
            nn.LeakyReLU(0.2),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(128, 64, 3, 1, 1, bias=False),
            nn.BatchNorm2d(64),
            nn.LeakyReLU(0.2),
            nn.Conv2d(64, 3, 3, 1, 1),
            nn.Sigmoid(),
        )

    def forward(self, noise: Tensor) -> Tensor:
        return self.layers(self.seed(noise).view(self.shape))


def windows(x: Tensor, top: Tensor, left: Tensor, height: Tensor, width: Tensor, mirror: Tensor) -> Tensor:
    """Cut a box of every image and scale it to full size; corners and sides (N,) in shares of the image."""
    theta = torch.zeros(len(x), 2, 3)
    theta[:, 0, 0] = torch.where(mirror, -width, width)
    theta[:, 1, 1] = height
    theta[:, 0, 2] = 2 * left + width - 1
    theta[:, 1, 2] = 2 * top + height - 1
    return f.grid_sample(x, f.affine_grid(theta, list(x.shape), align_corners=False), align_corners=False)


class PublishedCmi:
    """A teacher with hooks on its BatchNorms, a student, a generator with its noise, a head and a bank."""

    def __init__(
        self,
        teacher: StagedClassifier,
        student: StagedClassifier,
        side: int,
        mean: Tensor,
        std: Tensor,
        *,
        synthesis_batch: int = 256,
        batch_size: int = 128,
        vaccine: PublishedVaccine | None = None,
        bank: int = 40_960,
    ) -> None:
        self.vaccine = vaccine
        self.teacher, self.student = teacher.eval(), student
        self.mean, self.std = mean.view(1, 3, 1, 1), std.view(1, 3, 1, 1)
        self.batch_size, self.side = batch_size, side
        self.inputs: list[Tensor] = []
        self.norms = [m for m in teacher.modules() if isinstance(m, nn.BatchNorm2d)]
        for norm in self.norms:
            norm.register_forward_hook(lambda _, given, __: self.inputs.append(given[0]))
        width = sum(norm.num_features for norm in self.norms)
        self.bank = torch.randn(bank, 2 * width)
        self.head = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 256))
        self.generator = CmiGenerator(side)
        self.noise = torch.randn(synthesis_batch, 256, requires_grad=True)
        self.labels = torch.randint(10, (synthesis_batch,)).sort()[0]
        self.optimizer = torch.optim.Adam([*self.generator.parameters(), self.noise], 1e-3, (0.5, 0.999))
        self.head_optimizer = torch.optim.Adam(self.head.parameters(), 1e-3, (0.5, 0.999))
        self.student_optimizer = torch.optim.SGD(student.parameters(), 0.1, momentum=0.9, weight_decay=1e-4)
        self.pool = torch.rand(2_048, 3, side, side)
        self.best, self.best_loss = self.pool[:synthesis_batch], float("inf")

    def synthesis_step(self) -> None:
        """One iteration of the inversion."""
        self.student.eval()
        images = self.generator(self.noise)
        global_view = self._global_view(images)
        logits, features, inputs = self._watched(global_view)
        loss = 0.8 * self._contrast(features, self._watched(self._local_view(images))[1])
        loss = loss + self._statistics(inputs) + f.cross_entropy(logits, self.labels)
        own = self.student(global_view)
        agree = own.argmax(1) == logits.argmax(1)
        each = f.kl_div(f.log_softmax(own, 1), f.softmax(logits, 1), reduction="none").sum(1)
        loss = loss - 0.5 * (each * agree).mean()
        if self.vaccine is not None:
            loss = loss + self.vaccine.regularizer(global_view, logits)
        if loss.item() < self.best_loss:
            self.best, self.best_loss = images.detach(), loss.item()
        self.optimizer.zero_grad()
        self.head_optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.head_optimizer.step()

    def distilling_step(self) -> None:
        """One batch of the pool, augmented, for the student."""
        self.student.train()
        x = self._global_view(self.pool[torch.randint(len(self.pool), (self.batch_size,))])
        with torch.no_grad():
            self.inputs.clear()
            target = self.teacher(x)
        own = self.student(x)
        loss = TEMPERATURE**2 * f.kl_div(
            f.log_softmax(own / TEMPERATURE, 1), f.softmax(target / TEMPERATURE, 1), reduction="batchmean"
        )
        self.student_optimizer.zero_grad()
        loss.backward()
        self.student_optimizer.step()

    def _watched(self, x: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        self.inputs.clear()
        logits = self.teacher(x)
        inputs = list(self.inputs)
        return logits, torch.cat([given.mean(dim=(2, 3)) for given in inputs], dim=1), inputs

    def _statistics(self, inputs: list[Tensor]) -> Tensor:
        terms = [
            (norm.running_var - given.var(dim=(0, 2, 3), correction=0)).norm()
            + (norm.running_mean - given.mean(dim=(0, 2, 3))).norm()
            for norm, given in zip(self.norms, inputs, strict=True)
        ]
        return torch.stack(terms).sum()

    def _contrast(self, global_now: Tensor, local_now: Tensor) -> Tensor:
        local_bank, global_bank = self.bank[torch.randperm(len(self.bank))[:NEGATIVES]].chunk(2, dim=1)
        projected = f.normalize(self.head(torch.cat([local_now, local_bank, global_now, global_bank])), dim=1)
        local, whole = projected.chunk(2)
        losses = f.cross_entropy(local @ whole.detach().T / 0.1, torch.arange(len(local)), reduction="none")
        now = len(global_now)
        return losses[:now].mean() + losses[now:].mean()

    def _global_view(self, images: Tensor) -> Tensor:
        count, side = len(images), self.side
        top, left = (torch.randint(-4, 5, (2, count)) / side).float()
        full = torch.ones(count)
        return (windows(images, top, left, full, full, torch.rand(count) < 0.5) - self.mean) / self.std

    def _local_view(self, images: Tensor) -> Tensor:
        count = len(images)
        area = 0.25 + 0.75 * torch.rand(count)
        ratio = torch.exp((torch.rand(count) * 2 - 1) * torch.log(torch.tensor(4 / 3)) / 2)
        height, width = (area.sqrt() * ratio).clamp(max=1), (area.sqrt() / ratio).clamp(max=1)
        top, left = torch.rand(count) * (1 - height), torch.rand(count) * (1 - width)
        cut = windows(images, top, left, height, width, torch.rand(count) < 0.5)
        return (cut - self.mean) / self.std
