"""Score every clean checkpoint in a folder; leave out what cannot be a reference, and say why."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from models.checkpoints.inspect import InspectOptions
from models.checkpoints.isolated import inspect_isolated
from models.checkpoints.load import Teacher, load_teacher
from models.data.bundle import AuditData
from models.data.dataset import load_images
from models.data.isolated import inspect_dataset_isolated
from models.engine.monitor import Monitor
from models.errors import DataRejected, RecipeError, Rejected, TrainingFailed
from models.lab.calibration.score_file import ScoreFile
from models.lab.output import teacher_document
from models.probes.calibration.conditions import conditions_of
from models.probes.calibration.read_set import MAX_BYTES, read_set
from models.probes.calibration.reference_set import Conditions, Reference, ReferenceSet
from models.probes.calibration.score import Scores, reference_seed, score_teacher
from models.probes.probe_images import FEWEST_CLEAN_IMAGES
from models.recipes.job import Recipe
from models.sandbox.profiles import Mode

_SUFFIXES = frozenset({".pt", ".pth", ".th", ".pkl", ".bin", ".ckpt", ".tar", ".safetensors"})
#: What may not stand in the name of a kind; folders are called as people like.
_NO_KIND = re.compile(r"[^a-z]+")
PLAIN = "plain"
#: No images can be inverted from such a network, whatever the command; other recipe errors are the command's.
_NOT_INVERTED = frozenset({"batchnorm_missing", "batchnorm_unusable"})


@dataclass
class Calibration:
    """One run over a folder."""

    folder: Path
    """Of checkpoints. A checkpoint in a subfolder is of the kind that the subfolder is called, else plain."""
    output: Path
    """Of the set; scores are kept beside it, in a file that ends in ``.scores.jsonl``."""
    recipe: Recipe
    """Budget and patch style count."""
    declared: InspectOptions
    """What holds for all checkpoints, but for those that the lab made: their recipe files say it."""
    images: Path | None
    """Archive of clean images; None takes patches, as an audit without images does."""
    device: torch.device
    sandbox: Mode
    monitor: Monitor
    task: str | None = None
    """What the classes are; the same for all checkpoints."""
    left_out: list[tuple[str, str]] = field(default_factory=list)
    """File and reason."""
    warnings: dict[str, list[str]] = field(default_factory=dict)
    """What the intake said of files that it accepted, and of which."""

    def run(self) -> ReferenceSet:
        """Score what is not scored yet, and write the set.

        The first checkpoint that is accepted says which architecture, classes and size the set is of.

        Raises:
            Interrupted: The monitor asked to stop; what is scored stays scored.
            DataRejected: The images are refused, or no checkpoint is left (``references_missing``).
        """
        made: list[Reference] = []
        wanted: Conditions | None = None
        with tempfile.TemporaryDirectory(prefix="proctor-calibrate-") as room:
            images = self._canonical_images(Path(room))
            for path in self._paths():
                name = path.relative_to(self.folder).as_posix()
                try:
                    teacher, sha256 = self._load(path, Path(room))
                    data = _data(images, teacher.spec.input_size)
                    found = conditions_of(teacher.spec, data, self.recipe)
                    wanted = wanted or found
                    _require_same(wanted, found, [entry for entry in made if entry.sha256 == sha256])
                    scores = self._scores(teacher, sha256, data, wanted, _digest(images))
                except (Rejected, TrainingFailed, RecipeError) as error:
                    if isinstance(error, RecipeError) and error.code not in _NOT_INVERTED:
                        raise
                    self.left_out.append((name, error.detail))
                    continue
                kind, note = _kind(path, self.folder), _note(path, name)
                made.append(Reference(sha256, kind, note, scores.scores, scores.profiles))
        if wanted is None or not made:
            raise DataRejected(
                f"No checkpoint in {self.folder} can be a reference.",
                code="references_missing",
                hint="; ".join(f"{name}: {why}" for name, why in self.left_out[:3])
                or f"None of its files is called like one: *{', *'.join(sorted(_SUFFIXES))}.",
            )
        probes = tuple(made[0].scores)
        return self._write(ReferenceSet(self.output.stem, wanted, probes, tuple(made), self.task))

    def _paths(self) -> Iterator[Path]:
        for path in sorted(self.folder.rglob("*")):
            if path.is_file() and path.suffix.lower() in _SUFFIXES:
                yield path

    def _load(self, path: Path, room: Path) -> tuple[Teacher, str]:
        canonical = room / "canonical.safetensors"
        document = teacher_document(path)
        if document is not None and document["recipe"]["attack"]["kind"] != "none":
            raise DataRejected("The lab made it with a backdoor.", code="reference_attacked")
        declared = replace(self.declared, **_declared(document))
        inspection = inspect_isolated(path, canonical, declared, sandbox=self.sandbox)
        self._warn(path.relative_to(self.folder).as_posix(), inspection.warnings)
        return load_teacher(canonical, inspection, device=self.device), inspection.canonical_sha256

    def _warn(self, name: str, warnings: tuple[str, ...]) -> None:
        for warning in warnings:
            self.warnings.setdefault(warning, []).append(name)

    def _canonical_images(self, room: Path) -> Path | None:
        if self.images is None:
            return None
        canonical = room / "images.safetensors"
        read = inspect_dataset_isolated(self.images, canonical, "clean_unlabelled", sandbox=self.sandbox)
        self._warn(self.images.name, read.warnings)
        count = len(load_images(canonical, size=8).images)
        if count < FEWEST_CLEAN_IMAGES:
            raise DataRejected(
                f"{self.images.name} has {count} images; the probes need {FEWEST_CLEAN_IMAGES}.",
                code="images_missing",
                hint="With fewer, an audit takes patches: leave --images out.",
            )
        return canonical

    def _scores(
        self, teacher: Teacher, sha256: str, data: AuditData, conditions: Conditions, images: str | None
    ) -> Scores:
        path = self.output.with_suffix(".scores.jsonl")
        kept = ScoreFile(path, conditions, images, teacher.normalization)
        if sha256 not in kept.scores:
            recipe = replace(self.recipe, seed=reference_seed(sha256))
            kept.add(sha256, score_teacher(teacher, data, recipe, self.monitor))
        return kept.scores[sha256]

    def _write(self, made: ReferenceSet) -> ReferenceSet:
        """Write the set as a whole, if it can be read again; without blanks, which were half of it.

        Raises:
            DataRejected: ``calibration_invalid``, if it would be larger than any that is read.
        """
        content = (json.dumps(made.document(), separators=(",", ":")) + "\n").encode()
        if len(content) > MAX_BYTES:
            fit = len(made.references) * MAX_BYTES // len(content)
            raise DataRejected(
                f"A set of {len(made.references)} references has {len(content):,} bytes here; at most "
                f"{MAX_BYTES:,} are read.",
                code="calibration_invalid",
                hint=f"Leave {fit} of them in the folder; the smallest p is 1 / {fit + 1} then.",
            )
        read = read_set(content)
        partial = self.output.with_name(f"{self.output.name}.partial")
        partial.write_bytes(content)
        partial.replace(self.output)
        return read


def _data(images: Path | None, size: int) -> AuditData:
    return AuditData() if images is None else AuditData(images=load_images(images, size=size).images)


def _digest(images: Path | None) -> str | None:
    return None if images is None else hashlib.sha256(images.read_bytes()).hexdigest()


def _require_same(wanted: Conditions, found: Conditions, twins: list[Reference]) -> None:
    if twins:
        raise DataRejected(f"It is the same network as {twins[0].note}.", code="reference_twice")
    if found != wanted:
        raise DataRejected(
            f"It is {found.architecture} with {found.num_classes} classes at {found.input_size} pixels; the "
            f"set is of {wanted.architecture} with {wanted.num_classes} at {wanted.input_size}.",
            code="reference_differs",
        )


def _kind(path: Path, folder: Path) -> str:
    inner = path.relative_to(folder).parts[:-1]
    return (_NO_KIND.sub("-", inner[0].lower()).strip("-")[:40] if inner else "") or PLAIN


def _declared(document: Mapping[str, Any] | None) -> dict[str, Any]:
    if document is None:
        return {}
    teacher = document["teacher"]
    return {
        "architecture": teacher["architecture"],
        "num_classes": teacher["num_classes"],
        "input_size": teacher["input_size"],
        "mean": tuple(teacher["mean"]),
        "std": tuple(teacher["std"]),
    }


def _note(path: Path, name: str) -> str:
    document = teacher_document(path)
    if document is not None:
        name = f"{name}, test accuracy {document['measured']['clean_accuracy']['value']:.3f}"
    return "".join(letter for letter in name if letter.isprintable())[-200:]
