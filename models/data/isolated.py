"""Inspecting an archive in a process of its own, which is how the service does it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from models.checkpoints.child import ChildRejectedError, ChildStoppedError, Document, ask_child
from models.data.codes import data_rejection
from models.data.limits import ArchiveLimits, Role
from models.errors import DataRejected
from models.results.inspection import DatasetFindings, DatasetInspection, RepeatedPatch
from models.sandbox.profiles import Mode


def inspect_dataset_isolated(
    path: Path,
    out_path: Path,
    role: Role,
    *,
    limits: ArchiveLimits | None = None,
    sandbox: Mode = "degraded",
) -> DatasetInspection:
    """Do what ``archive.inspect_dataset`` does, in a sandboxed child process without torch.

    Args:
        path: The uploaded file.
        out_path: Where the canonical file goes; nothing is left there if the file is refused.
        role: What the images are for.
        limits: Bounds on everything the file may ask for; None takes the defaults.
        sandbox: What happens when this machine lacks a part of the sandbox.

    Raises:
        DataRejected: With one of ``codes.DATA_CODES``, or ``sandbox_unavailable``.
    """
    limits = limits or ArchiveLimits()
    request = {
        "path": str(path.absolute()),
        "out_path": str(out_path.absolute()),
        "role": role,
        "limits": asdict(limits),
        "sandbox": sandbox,
    }
    try:
        document = ask_child("models.data.inspect_main", request, wall_s=limits.wall_s)
        return _revived(document)
    except ChildRejectedError as error:
        raise DataRejected(error.detail, code=error.code, hint=error.hint) from None
    except ChildStoppedError as error:
        out_path.with_name(f"{out_path.name}.partial").unlink(missing_ok=True)
        raise data_rejection("parser_limit" if error.limit else "parser_failed", str(error)) from None


def _revived(document: Document) -> DatasetInspection:
    """Make the inspection again from its JSON form, which has lists for tuples.

    Raises:
        ChildStoppedError: Fields are missing, unknown or of the wrong form.
    """
    try:
        return _made_again(document)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ChildStoppedError("The reader's answer is not an inspection.", limit=False) from None


def _made_again(document: Document) -> DatasetInspection:
    tuples = {name: tuple(document[name]) for name in ("classes", "class_counts", "warnings")}
    findings = document["findings"]
    if findings is not None:
        patches = tuple(
            RepeatedPatch(**{**patch, "examples": tuple(patch["examples"])}) for patch in findings["patches"]
        )
        pairs = tuple((earlier, later) for earlier, later in findings["duplicate_examples"])
        findings = DatasetFindings(**{**findings, "patches": patches, "duplicate_examples": pairs})
    return DatasetInspection(**{**document, **tuples, "findings": findings})
