"""The probe stage refuses what the stages behind it could not do, before it asks anything."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from models import api
from models.errors import RecipeError
from models.recipes.job import Recipe
from tests.worker.stages.test_protect import Silent, described
from tests.worker.stages.test_subject import folder
from worker.stages import probe

__all__ = ["folder"]


class Audited(Exception):
    """The audit was reached."""


@pytest.mark.parametrize(
    ("kind", "method", "expected"),
    [("clean", "robustkd", RecipeError), ("clean", "ood", Audited), ("audit", "robustkd", Audited)],
)
def test_students_that_cannot_be_made_are_refused_before_the_audit(
    folder: Path, monkeypatch: pytest.MonkeyPatch, kind: str, method: str, expected: type[Exception]
) -> None:
    def reached(*_: object, **__: object) -> None:
        raise Audited

    monkeypatch.setattr(api, "audit", reached)
    # Features of a MobileNetV2 cannot be compared with those of this wide ResNet.
    recipe = Recipe(method=method, student=replace(Recipe().student, architecture="mobilenet-v2"))
    made = described(folder, recipe)
    job = replace(made, facts={**made.facts, "kind": kind})
    with pytest.raises(expected) as ended:
        probe.run(job, Silent())
    if isinstance(ended.value, RecipeError):
        assert ended.value.code == "stages_incompatible"
