"""Reading reference sets strictly: a user may give one, so its file is as foreign as a checkpoint."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any, NoReturn, get_args

from models.errors import DataRejected
from models.probes.calibration.reference_set import (
    SCHEMA,
    SCHEMA_VERSION,
    SCORED_ON,
    Conditions,
    Reference,
    ReferenceSet,
)
from models.recipes.architecture import MAX_INPUT_SIZE
from models.recipes.ood import PatchStyle
from models.recipes.probe import Budget

#: 2,000 references of ten classes with three scores, their profiles and long notes have 1.3 MB, which take a
#: second to read; of 1,000 classes some 240 fit.
MAX_BYTES = 2 * 1024 * 1024
MAX_REFERENCES, MAX_PROBES, MAX_NOTE = 2_000, 32, 200
#: Scores are logarithms of ratios and shares; what is larger is no score of ours.
LARGEST_SCORE = 1e6

_SHIPPED = Path(__file__).parent / "sets"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_ARCHITECTURE = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.:/-]{0,63}")
_PROBE = re.compile(r"[a-z][a-z0-9_]{0,39}")
_KIND = re.compile(r"[a-z][a-z -]{0,39}")
_FIELDS = {"schema", "schema_version", "name", "task", "conditions", "probes", "references", "sha256"}


def rejected(detail: str, code: str = "calibration_invalid") -> DataRejected:
    """Make the refusal of a reference set."""
    return DataRejected(detail, code=code, hint="Make the set again with `proctor calibrate`.")


def read_set(content: bytes) -> ReferenceSet:
    """Read a reference set, or refuse it as a whole.

    Raises:
        DataRejected: ``calibration_invalid``: too large, no JSON, fields missing, unknown or out of bounds, a
            score that is no number, a reference or a key twice; ``calibration_changed``: it is not what its
            own SHA-256 says.
    """
    document = _parsed(content)
    if document.get("schema") != SCHEMA or document.get("schema_version") != SCHEMA_VERSION:
        raise rejected(f"This is not a reference set of version {SCHEMA_VERSION}.")
    _require_keys(document, _FIELDS, "the set")
    probes = _probes(document["probes"])
    conditions = _conditions(_mapping(document["conditions"], "conditions"))
    found = ReferenceSet(
        name=_text(document["name"], _NAME, "name"),
        conditions=conditions,
        probes=probes,
        references=_references(document["references"], probes, conditions.num_classes),
        task=None if document["task"] is None else _text(document["task"], _NAME, "task"),
    )
    if document["sha256"] != found.sha256:
        raise rejected("The set was changed since it was made: its SHA-256 differs.", "calibration_changed")
    return found


def read_set_file(path: Path) -> ReferenceSet:
    """Read the reference set in a file, of which no more than ``MAX_BYTES`` are looked at.

    Raises:
        DataRejected: See ``read_set``.
    """
    with path.open("rb") as file:
        return read_set(file.read(MAX_BYTES + 1))


@cache
def shipped_sets() -> tuple[ReferenceSet, ...]:
    """Return the sets that come with the library."""
    return tuple(read_set_file(path) for path in sorted(_SHIPPED.glob("*.json")))


def _parsed(content: bytes) -> dict[str, Any]:
    if len(content) > MAX_BYTES:
        raise rejected(f"A reference set has at most {MAX_BYTES:,} bytes.")
    try:
        document = json.loads(
            content.decode("utf-8"), object_pairs_hook=_without_repetition, parse_constant=_no_number
        )
    except (ValueError, RecursionError) as error:
        raise rejected(f"The reference set is no JSON: {error}.") from None
    return _mapping(document, "the set")


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return made


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _mapping(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise rejected(f"{what} is no object.")
    return value


def _require_keys(document: dict[str, Any], wanted: Iterable[str], what: str) -> None:
    wrong = sorted(set(document) ^ set(wanted))
    if wrong:
        state = "does not belong" if wrong[0] in document else "is missing"
        raise rejected(f"{wrong[0][:64]!r} {state} in {what}.")


def _text(value: object, pattern: re.Pattern[str], what: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise rejected(f"{what} is {str(value)[:64]!r}, which it may not be.")
    return value


def _probes(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_PROBES:
        raise rejected(f"A reference set has a list of 1 to {MAX_PROBES} probes.")
    probes = tuple(_text(name, _PROBE, "A probe's name") for name in value)
    if len(set(probes)) != len(probes):
        raise rejected("A probe is named twice.")
    return probes


def _conditions(document: dict[str, Any]) -> Conditions:
    _require_keys(document, (field.name for field in fields(Conditions)), "the conditions")
    effort = _mapping(document["effort"], "effort")
    if len(effort) > MAX_PROBES:
        raise rejected("The effort has too many parts.")
    images = _choice(document["images"], SCORED_ON, "images")
    styles = (None,) if images == "clean images" else get_args(PatchStyle)
    return Conditions(
        architecture=_text(document["architecture"], _ARCHITECTURE, "architecture"),
        num_classes=_count(document["num_classes"], 2, 1_000, "num_classes"),
        input_size=_count(document["input_size"], 8, MAX_INPUT_SIZE, "input_size"),
        images=images,
        searched=_count(document["searched"], 1, 10**6, "searched"),
        patch_style=_choice(document["patch_style"], styles, "patch_style"),
        budget=_choice(document["budget"], get_args(Budget), "budget"),
        effort={
            _text(name, _PROBE, "A part of the effort"): _count(value, 0, 10**9, name)
            for name, value in effort.items()
        },
        scoring_version=_count(document["scoring_version"], 1, 10**6, "scoring_version"),
    )


def _choice(value: object, choices: Sequence[Any], what: str) -> Any:
    if not isinstance(value, str | None) or value not in choices:
        raise rejected(f"{what} is {str(value)[:64]!r}; it may be {', '.join(map(str, choices))}.")
    return value


def _count(value: object, least: int, most: int, what: str) -> int:
    if type(value) is not int or not least <= value <= most:
        raise rejected(f"{what} is {str(value)[:64]!r}; it is a whole number from {least} to {most}.")
    return value


def _references(value: object, probes: tuple[str, ...], num_classes: int) -> tuple[Reference, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_REFERENCES:
        raise rejected(f"A reference set has a list of 1 to {MAX_REFERENCES:,} references.")
    references = tuple(_reference(entry, probes, num_classes) for entry in value)
    if len({reference.sha256 for reference in references}) != len(references):
        raise rejected("A network is in the set twice: copies of one network are not two references.")
    return references


def _reference(value: object, probes: tuple[str, ...], num_classes: int) -> Reference:
    entry = _mapping(value, "A reference")
    _require_keys(entry, ("sha256", "kind", "note", "scores", "profiles"), "a reference")
    scores, note = _mapping(entry["scores"], "scores"), entry["note"]
    _require_keys(scores, probes, "a reference's scores")
    if not isinstance(note, str) or len(note) > MAX_NOTE or not (note.isprintable()):
        raise rejected(f"A note is a line of at most {MAX_NOTE} letters.")
    return Reference(
        sha256=_text(entry["sha256"], _SHA256, "A reference's sha256"),
        kind=_text(entry["kind"], _KIND, "A reference's kind"),
        note=note,
        scores={name: _score(scores[name]) for name in probes},
        profiles=_profiles(_mapping(entry["profiles"], "profiles"), probes, num_classes),
    )


def _profiles(
    document: dict[str, Any], probes: tuple[str, ...], num_classes: int
) -> dict[str, tuple[float, ...]]:
    unknown = sorted(set(document) - set(probes))
    if unknown:
        raise rejected(f"{unknown[0][:64]!r} does not belong in a reference's profiles.")
    for values in document.values():
        if not isinstance(values, list) or len(values) != num_classes:
            raise rejected(f"A profile is a list of {num_classes} numbers, one for each class.")
    return {name: tuple(_score(value) for value in values) for name, values in document.items()}


def _score(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST_SCORE:
        raise rejected(f"{str(value)[:64]!r} is no score.")
    return float(value)
