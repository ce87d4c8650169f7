"""What is promised, and which shifts are too small to matter.

In:    the settings of alarms and tolerance; when a batch came.
Out:   the level a check may spend, by layer; the smallest shift that matters.
Never: sees evidence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from shiftwatch.settings import AlarmSettings, ToleranceSettings

CHECK_SHARE, WINDOW_SHARE, POOL_SHARE = 0.15, 0.2, 0.65
"""How the level of a check is divided among the layers. The check by itself finds what is large,
where a factor of seven in the level costs a tenth of the power; the pool finds what is small, where
the delay grows with the logarithm of what it may spend."""

MOST_LEVEL = 0.05
"""Most that one check may spend: after a long silence what was not spent is lost."""

FIRST_SECONDS = 300.0
"""What the first batch may spend with ``per_days`` where it does not say how long it took."""

TOLERANCES: Mapping[str, tuple[float, str]] = {
    "ks": (0.02, "two rows in a hundred changed places: seldom more than a model's own noise"),
    "chi2": (0.02, "two rows in a hundred changed their category"),
    "mmd": (0.02, "a kernel distance of 1 would be two sides that share nothing"),
    "c2st": (0.02, "a classifier that tells the sides apart in 51 of 100 pairs"),
    "nulls": (0.005, "half a per cent of new nulls is rarely chance and often a bug"),
    "unseen": (0.001, "one row in a thousand with a category the model has never seen"),
    "distinct": (0.005, "one id in two hundred repeated is rarely chance and often a bug"),
}
"""Smallest effect that matters by test, in its own unit, and why. ``tolerance: {default: ...}`` can
only lower those that are below 0.02 and replaces the others."""

_BASE = 0.02


@dataclass(frozen=True, slots=True)
class Level:
    """What one check may spend, in expected false alarms of the model, by layer."""

    check: float
    window: float
    pool: float
    steady: bool = True
    """Whether every check may spend the same."""


@dataclass(frozen=True, slots=True)
class Policy:
    """When an alarm rises and which shifts are too small to matter."""

    per_checks: int = 1000
    per_days: float | None = None
    memory: Literal["cusum", "e-process", "none"] = "none"
    tolerance: ToleranceSettings = field(default_factory=ToleranceSettings)

    @classmethod
    def of(cls, alarms: AlarmSettings, tolerance: ToleranceSettings) -> Policy:
        """The policy of a configuration."""
        return cls(alarms.per_checks, alarms.false_alarms.per_days, alarms.memory, tolerance)

    def level(self, seconds: float | None = None) -> Level:
        """What a check may spend.

        Parameters
        ----------
        seconds
            Since the batch before; plays a part with ``per_days`` only.

        Examples
        --------
        A batch after an hour may spend what twelve five-minute batches may:

        >>> policy = Policy(per_days=180)
        >>> round(policy.level(3600.0).check / policy.level(300.0).check, 9)
        12.0
        """
        if self.per_days is None:
            return self._divided(1.0 / self.per_checks, steady=True)
        passed = max(1.0, FIRST_SECONDS if seconds is None else seconds)
        return self._divided(min(MOST_LEVEL, passed / 86400 / self.per_days), steady=False)

    def _divided(self, total: float, *, steady: bool) -> Level:
        if self.memory == "none":
            return Level(total, 0.0, 0.0, steady)
        return Level(total * CHECK_SHARE, total * WINDOW_SHARE, total * POOL_SHARE, steady)

    def smallest(self, test: str, target: str) -> float:
        """The smallest shift that matters for this test and target, in the test's own unit.

        Examples
        --------
        >>> Policy().smallest("ks", "age"), Policy().smallest("nulls", "age")
        (0.02, 0.005)
        """
        chosen = self.tolerance
        if target in chosen.columns:
            return chosen.columns[target]
        if test in chosen.tests:
            return chosen.tests[test]
        own, _ = TOLERANCES.get(test, (_BASE, ""))
        return min(chosen.default, own) if own < _BASE else chosen.default
