"""Out-of-distribution patches as published (algorithms.md 2.3): a loader over image files, then one step.

Each patch is decoded from its JPEG file, mirrored, cropped and normalized by itself, as a data loader's
dataset does; CutMix, teacher and student then work on the batch in float32.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn import functional as f

from benchmarks.published.zskt import PublishedVaccine
from models.architectures import StagedClassifier


def as_files(patches: Tensor) -> list[bytes]:
    """Patches (N, 3, S, S) of bytes as JPEG files, held in memory: no disk is timed."""
    files = []
    for patch in patches.permute(0, 2, 3, 1).numpy():
        held = io.BytesIO()
        Image.fromarray(patch).save(held, "JPEG")
        files.append(held.getvalue())
    return files


class PublishedOod:
    """A student that learns on patches, batch by batch."""

    def __init__(
        self,
        teacher: StagedClassifier,
        student: StagedClassifier,
        files: Sequence[bytes],
        mean: Sequence[float],
        std: Sequence[float],
        *,
        batch_size: int = 512,
        temperature: float = 8.0,
        vaccine: PublishedVaccine | None = None,
    ) -> None:
        self.teacher, self.student, self.files = teacher.eval(), student.train(), files
        self.mean, self.std = (torch.tensor(v).view(3, 1, 1) for v in (mean, std))
        self.batch_size, self.temperature, self.vaccine = batch_size, temperature, vaccine
        self.optimizer = torch.optim.Adam(student.parameters(), lr=1e-3)
        self.random = np.random.default_rng(0)

    def step(self) -> None:
        """Load one batch and learn from it."""
        chosen = self.random.integers(len(self.files), size=self.batch_size)
        x = self._cutmix(torch.stack([self._patch(self.files[i]) for i in chosen]))
        x = x.to(next(self.student.parameters()).device)
        with torch.no_grad():
            target = self.teacher(x)
        own = self.student(x)
        losses = f.kl_div(
            f.log_softmax(own / self.temperature, dim=1),
            f.softmax(target / self.temperature, dim=1),
            reduction="none",
        )
        loss = losses.mean()
        if self.vaccine is not None:
            with torch.no_grad():
                mask = self.vaccine.shuffled(x).argmax(1) == target.argmax(1)
            if mask.any() and not mask.all():
                loss = losses[~mask].mean() - self.vaccine.weight * losses[mask].mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def _patch(self, file: bytes) -> Tensor:
        image = Image.open(io.BytesIO(file)).convert("RGB")
        if self.random.random() < 0.5:
            image = ImageOps.mirror(image)
        side = image.width
        top, left = self.random.integers(0, 9, 2)
        image = ImageOps.expand(image, 4).crop((left, top, left + side, top + side))
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous().float().div(255)
        return pixels.sub(self.mean).div(self.std)

    def _cutmix(self, x: Tensor) -> Tensor:
        share = self.random.beta(0.25, 0.25)
        side = x.shape[-1]
        half = int(side * np.sqrt(1 - share)) // 2
        row, column = self.random.integers(side, size=2)
        rows = slice(max(0, row - half), min(side, row + half))
        columns = slice(max(0, column - half), min(side, column + half))
        x[:, :, rows, columns] = x[torch.randperm(len(x))][:, :, rows, columns]
        return x
