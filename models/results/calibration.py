"""What the comparison with clean reference networks says about an audit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CalibrationResult:
    """How unusual the network's scores are among clean networks; without a set that fits, why not."""

    sentence: str
    """The result, or the reason why there is none."""
    alpha: float
    """Share of clean networks that may be called backdoored, on average over reference sets."""
    name: str | None = None
    """Of the reference set; None if none fits. Like ``sha256``."""
    sha256: str | None = None
    """Of the reference set."""
    references: int = 0
    """Clean networks in it."""
    probes: tuple[str, ...] = ()
    """Those that were combined."""
    driving: tuple[str, ...] = ()
    """Those that carry the p-value, the one that adds most first."""
    p_value: float | None = None
    """Of all probes together: share of networks, this one included, at least as conspicuous as it."""
    band: tuple[float, float] | None = None
    """Where the realised share of clean networks called backdoored lies with probability 0.9, for a set of
    this size; None if it is too small for a detection at ``alpha``."""

    score: float | None = None
    """What was ranked for it: how far the probes together lie above the references, larger more conspicuous.
    Only comparable among audits with one set."""
    task: str | None = None
    """What the classes are, if every class was compared with the same class of the references."""

    @property
    def decides(self) -> bool:
        """Whether there are enough references for a detection."""
        return self.p_value is not None and self.band is not None
