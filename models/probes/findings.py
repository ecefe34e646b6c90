"""All that the probes measured, and the two questions every reader of it asks first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from models.probes.doubts import NO_DOUBT, Doubts
from models.results.audit import ChannelResult, ProbeResult, TransferResult, TriggerReport
from models.results.calibration import CalibrationResult
from models.results.trigger_effect import TriggerEffect

#: A given trigger works when even the lower bound of its success is at least this ...
LOWEST_SUCCESS = 0.5
#: ... and exceeds the upper bound of the rate without it by at least this.
LOWEST_GAIN = 0.2


@dataclass(frozen=True)
class Findings:
    """All that was measured."""

    probes: tuple[ProbeResult, ...]
    triggers: tuple[TriggerReport, ...]
    transfers: tuple[TransferResult, ...]
    failures: tuple[str, ...]
    """Why a probe that should have run gave no result, one sentence each."""
    hiding: frozenset[str]
    """Names of given triggers that leave so little of an image that their success proves nothing."""
    calibration: CalibrationResult | None = None
    """Comparison with clean reference networks."""
    channels: tuple[ChannelResult, ...] = ()
    """Those that triggers were to be followed through."""
    effects: tuple[TriggerEffect, ...] = ()
    """What given triggers that do not work do class by class."""
    doubts: Doubts = NO_DOUBT
    """Why the answers may be another network's."""
    bold: Mapping[str, float] = field(default_factory=dict)
    """Share of the pixels that each given trigger changes much, by its name."""
    harms_students: bool = False
    """Whether students that learned from the network ended more than a point worse."""

    @property
    def moving(self) -> tuple[TriggerEffect, ...]:
        """Effects that are more than nothing, proven ones first."""
        found = [effect for effect in self.effects if effect.kind != "none"]
        return tuple(sorted(found, key=lambda effect: not effect.proven))


def trigger_works(report: TriggerReport, hiding: frozenset[str] = frozenset()) -> bool:
    """Whether a given trigger was measured to work, beyond both intervals."""
    gain = report.teacher_success.low - report.clean_rate.high
    return (
        report.origin == "given"
        and report.name not in hiding
        and report.teacher_success.low >= LOWEST_SUCCESS
        and gain >= LOWEST_GAIN
    )


def suspected_classes(probes: Sequence[ProbeResult]) -> tuple[int, ...]:
    """Return the classes that conspicuous probes name, without repetition."""
    named = [p.target_label for p in probes if p.conspicuous and p.target_label is not None]
    return tuple(dict.fromkeys(named))


def listed(words: Sequence[str]) -> str:
    """Join words as a sentence does."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
