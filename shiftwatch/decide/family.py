"""Many tests, one check: how the level is divided, and which results are named.

In:    results and skips of one batch, the policy.
Out:   corrected p-values; names by Holm's procedure; the wider list of what is also moving.
Never: remembers anything.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from shiftwatch.decide.policy import Policy
from shiftwatch.values import Skipped, TwoSampleResult

ALSO_MOVING = 0.05
"""Share of the list of also moving columns that may be there by chance (false discovery rate)."""

_NORMAL_975 = 1.959963984540054

_COUNTED_SKIPS = frozenset({"all_categories_known", "test_failed"})
"""Skips that depend on which rows are the batch's: they keep their share of the level, or the level
of the others would depend on the data."""


@dataclass(frozen=True, slots=True)
class Weighed:
    """A result with its p-value corrected for everything tested in this check."""

    result: TwoSampleResult
    share: float
    """Its part of the level of the check."""
    p_value: float
    """Of no shift, or with ``mode: prove`` of a shift no larger than the tolerance."""
    matters: bool
    """False when the effect is shown to be below the tolerance."""

    @property
    def corrected(self) -> float:
        """Bonferroni-corrected p-value; at most the level of the check raises the alarm."""
        return min(1.0, self.p_value / self.share)


def weigh(
    results: Sequence[TwoSampleResult], skipped: Sequence[Skipped], policy: Policy
) -> tuple[Weighed, ...]:
    """Divide the level among families and within them; the shares add up to 1 at most.

    A family is one test on one scope; each has an equal part, so that one joint test does not drown
    among a thousand columns, and within it each target has an equal part.
    """
    counted: list[TwoSampleResult | Skipped] = [*results]
    counted += [skip for skip in skipped if skip.reason in _COUNTED_SKIPS]
    sizes = Counter((entry.scope, entry.test) for entry in counted)
    return tuple(
        _weighed(result, 1.0 / (len(sizes) * sizes[result.scope, result.test]), policy)
        for result in results
    )


def _weighed(result: TwoSampleResult, share: float, policy: Policy) -> Weighed:
    smallest = policy.smallest(result.test, result.target)
    if policy.tolerance.mode == "prove":
        return Weighed(result, share, beyond(result, smallest), matters=True)
    matters = result.effect_high is None or result.effect_high > smallest
    return Weighed(result, share, result.p_value, matters)


def beyond(result: TwoSampleResult, smallest: float) -> float:
    """P-value of the hypothesis that the effect is no larger than ``smallest``; 1 without interval.

    The lower arm of the 95 % interval is taken for 1.96 standard errors of a normal law. That is
    so for the intervals that rest on a normal law. The arms that rest on an inequality (Dvoretzky,
    Kiefer and Wolfowitz; McDiarmid) grow more slowly than a normal quantile as the level falls, so
    for them the p-value is too large rather than too small. Never below the p-value of no shift.

    Examples
    --------
    >>> r = TwoSampleResult("ks", "x", "input", 0.08, 1e-30, 0.08, 0.06, 0.1, 10**6, 10**4)
    >>> round(beyond(r, 0.02), 10), beyond(r, 0.07)
    (2.1e-09, 1.0)
    """
    low = result.effect_low
    if low is None or low <= smallest:
        return 1.0
    error = max((result.effect - low) / _NORMAL_975, 1e-12)
    tail = 0.5 * math.erfc((result.effect - smallest) / error / math.sqrt(2))
    return max(result.p_value, tail)


def named(weighed: Sequence[Weighed], level: float) -> tuple[TwoSampleResult, ...]:
    """Which results moved, by Holm's procedure with weights, at family-wise error ``level``.

    Source: Holm (1979), Scand. J. Statist. 6, 65-70, section 3 (weights).
    """
    ordered = sorted(weighed, key=lambda w: w.p_value / w.share)
    remaining = sum(entry.share for entry in ordered)
    found: list[TwoSampleResult] = []
    for entry in ordered:
        if entry.p_value > level * entry.share / remaining:
            break
        remaining = max(remaining - entry.share, entry.share * 1e-9)
        if entry.matters:
            found.append(entry.result)
    return tuple(found)


def also_moving(weighed: Sequence[Weighed]) -> tuple[TwoSampleResult, ...]:
    """Results of single columns that move at a false discovery rate of :data:`ALSO_MOVING`.

    The procedure of Benjamini and Yekutieli (2001), which holds under any dependence: a list to
    look at, never a reason for an alarm.
    """
    single = [w for w in weighed if w.result.target != "*" and w.matters]
    ordered = sorted(single, key=lambda w: w.p_value)
    harmonic = sum(1 / rank for rank in range(1, len(ordered) + 1))
    count = 0
    for rank, entry in enumerate(ordered, start=1):
        if entry.p_value <= ALSO_MOVING * rank / (len(ordered) * harmonic):
            count = rank
    return tuple(entry.result for entry in ordered[:count])
