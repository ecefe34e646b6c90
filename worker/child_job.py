"""A job as its own process sees it: a folder with a description, inputs, and room for outputs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.core.states import JobKind, Stage
from models.sandbox.profiles import Mode

DESCRIPTION = "job.json"
INPUTS = "in"
OUTPUTS = "out"
RESUME = "resume"


@dataclass(frozen=True)
class ChildBounds:
    """What the process may do and use."""

    sandbox: Mode
    """What happens when the machine lacks a part of the sandbox."""
    memory_bytes: int | None
    """Beyond its libraries; None is all that the machine has."""
    scratch_bytes: int
    """Sum of its files."""


@dataclass(frozen=True)
class ChildJob:
    """What the supervisor wrote into ``job.json``; all paths are absolute and inside the folder."""

    folder: Path
    facts: Mapping[str, Any]
    """id, kind, attempt, device, created_at, started_at: for the report."""
    stages: tuple[Stage, ...]
    """Those that are not done yet."""
    recipe: Mapping[str, Any]
    triggers: tuple[Mapping[str, Any], ...]
    teacher: Mapping[str, Any]
    """filename, inspection, path of the canonical file; empty when a dataset is inspected."""
    data: Mapping[str, Mapping[str, Any]]
    """By use (labelled, unlabelled, surrogate): filename, role, inspection, path."""
    upload: Mapping[str, Any]
    """For an inspection: path, table (teacher or dataset), declared, role."""
    threads: int
    checkpoint_s: float
    bounds: ChildBounds
    calibration: Mapping[str, str] = field(default_factory=dict)
    """Reference sets of this installation: text by file name, not checked yet."""
    sandbox: str = ""
    """How well the process is locked in, in words for the report; known once it is."""
    outputs: dict[Stage, StageOutput] = field(default_factory=dict)
    """What finished stages left; grows while the job runs."""

    @property
    def kind(self) -> JobKind:
        """What the job is for."""
        return JobKind(self.facts["kind"])

    @property
    def resume_folder(self) -> Path:
        """Where states to resume from are kept."""
        return self.folder / RESUME

    def out(self, name: str) -> Path:
        """Where a stage writes the file it will publish under ``name``."""
        return self.folder / OUTPUTS / name

    def result(self, stage: Stage) -> Mapping[str, Any] | None:
        """What a stage found, if this job has that stage and it is done."""
        output = self.outputs.get(stage)
        return None if output is None else output.result

    def file(self, stage: Stage, name: str) -> Path | None:
        """Where a finished stage's file lies; None when it left none of that name."""
        output = self.outputs.get(stage)
        found = () if output is None else (file for file in output.files if file.name == name)
        return next((file.path for file in found), None)

    @classmethod
    def read(cls, folder: Path) -> ChildJob:
        """Read the description."""
        content = json.loads((folder / DESCRIPTION).read_text("utf-8"))
        return cls(
            folder=folder,
            facts=content["facts"],
            stages=tuple(Stage(stage) for stage in content["stages"]),
            recipe=content["recipe"],
            triggers=tuple(content["triggers"]),
            teacher=_located(folder, content["teacher"]),
            data={use: _located(folder, entry) for use, entry in content["data"].items()},
            upload=_located(folder, content["upload"]),
            threads=content["threads"],
            checkpoint_s=content["checkpoint_s"],
            bounds=ChildBounds(**content["bounds"]),
            calibration=content["calibration"],
            outputs={
                Stage(stage): StageOutput(
                    output["result"],
                    tuple(
                        OutputFile(file["name"], file["media_type"], folder / file["path"])
                        for file in output["files"]
                    ),
                )
                for stage, output in content["outputs"].items()
            },
        )


@dataclass(frozen=True)
class OutputFile:
    """A file that a stage wrote."""

    name: str
    media_type: str
    path: Path


@dataclass(frozen=True)
class StageOutput:
    """What a stage leaves: a result that is JSON, and files."""

    result: Mapping[str, Any]
    files: tuple[OutputFile, ...] = ()


def _located(folder: Path, entry: Mapping[str, Any]) -> dict[str, Any]:
    return {**entry, "path": folder / entry["path"]} if entry else {}
