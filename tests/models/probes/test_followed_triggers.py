from __future__ import annotations

from collections.abc import Iterator

import pytest

from models.data.bundle import AuditData
from models.engine.monitor import SilentMonitor
from models.errors import TrainingFailed
from models.probes import followed_triggers
from models.probes.audit import run_audit
from models.probes.audit_run import AuditRun, begin
from models.probes.followed_triggers import follow
from models.probes.transfer import Matrix
from models.recipes.job import Recipe
from models.recipes.probe import ProbeRecipe
from models.results.audit import ChannelResult, ProbeResult
from tests.models.probes.planted import checkerboard, planted_teacher


@pytest.fixture
def audit() -> Iterator[AuditRun]:
    """An audit of budget quick that was given a trigger and has just compared the margins."""
    recipe = Recipe(probe=ProbeRecipe(budget="quick"))
    given = (checkerboard(2),)
    with begin(planted_teacher(strength=60.0), AuditData(), given, recipe, SilentMonitor()) as made:
        made.probes.append(ProbeResult("mmbd", "", 2, 1.0, True, (1.0, 2.0, 9.0, 3.0)))
        yield made


def test_a_channel_that_broke_is_a_failure_and_one_that_does_not_fit_is_none(
    audit: AuditRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failures make a verdict inconclusive."""
    channels = (
        ChannelResult("vanilla", "not_tested", 0.0, "None were given."),
        ChannelResult("fast", "not_tested", 1.0, "The loss is nan.", failed=True),
    )
    monkeypatch.setattr(followed_triggers, "transfer_probe", lambda *_, **__: Matrix((), channels))
    follow(audit, SilentMonitor())
    assert audit.channels == channels
    assert audit.failures == [
        "The transfer probe could not run over images inverted from the teacher (fast): The loss is nan."
    ]


def test_a_probe_that_broke_before_any_channel_is_a_failure(
    audit: AuditRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaking(*args: object, **kwargs: object) -> None:
        raise TrainingFailed("The search diverged.")

    monkeypatch.setattr(followed_triggers, "transfer_probe", breaking)
    follow(audit, SilentMonitor())
    assert audit.failures == ["The transfer probe could not run: The search diverged."]
    assert (audit.transfers, audit.channels) == ((), ())


def test_channels_and_their_reasons_reach_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    channels = (ChannelResult("vanilla", "not_tested", 0.0, "None were given."),)
    monkeypatch.setattr(followed_triggers, "transfer_probe", lambda *_, **__: Matrix((), channels))
    recipe = Recipe(probe=ProbeRecipe(budget="quick", nasty=False))
    teacher = planted_teacher(strength=0.0)
    result = run_audit(teacher, AuditData(), (checkerboard(2),), recipe, SilentMonitor()).result
    assert result.channels == channels
    assert any(line.endswith("was not tested. None were given.") for line in result.not_tested)
