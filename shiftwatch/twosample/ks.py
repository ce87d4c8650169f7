"""Kolmogorov-Smirnov, per numeric column, against a reference sorted once.

In:    present values of a reference column; present values of a current one.
Out:   the largest gap between the two distribution functions, its p-value, where and which way.
Never: sorts the reference twice; reads all of it for a batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from shiftwatch.sample import Column
from shiftwatch.twosample import kslaw
from shiftwatch.twosample.protocol import MIN_ROWS, NotTested, Outcome, Prepared
from shiftwatch.values import Kind

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

_TIE_SHARE = 0.1
_STRIDE = 16
_GRID = 2048
_ERROR = 0.05


@dataclass(frozen=True, slots=True)
class Ks:
    """Two-sample Kolmogorov-Smirnov test of one numeric column.

    The statistic and effect is D = sup |F - G|, ties included and infinities legal. The p-value
    is exact where rows are few or ties many, and Kolmogorov's limit with Stephens' correction
    otherwise; see :mod:`shiftwatch.twosample.kslaw`. It assumes that the rows of reference and
    batch are exchangeable if nothing has shifted.

    The 95 % interval of the effect is D -+ c, c = sqrt(ln(4/a)/(2m)) + sqrt(ln(4/a)/(2n)) with
    a = .05: the inequality of Dvoretzky, Kiefer and Wolfowitz (constant by Massart 1990) for each
    sample at a/2. It holds whatever the two laws are.

    Examples
    --------
    >>> from shiftwatch.sample import numeric
    >>> rng = np.random.default_rng(0)
    >>> prepared = Ks().prepare(numeric("x", np.arange(100.0)), rng)
    >>> outcome = Ks().run(prepared, numeric("x", np.arange(50.0, 150.0)), rng)
    >>> outcome.statistic, outcome.explanation["direction"]
    (0.5, 'higher')
    """

    name: ClassVar[str] = "ks"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"numeric"})

    def prepare(self, reference: Column, rng: np.random.Generator) -> Prepared:
        """Sort the present values (float64), and count the distinct ones if they are few.

        ``sorted`` has shape (present rows,). ``levels`` and ``level_counts`` are empty where there
        are more than :data:`~shiftwatch.twosample.kslaw.MAX_LEVELS` distinct values.
        """
        del rng  # nothing here is random
        values = np.sort(np.asarray(reference.present, dtype=np.float64))
        levels, counts = _levels(values)
        if levels.size > kslaw.MAX_LEVELS:
            levels, counts = levels[:0], counts[:0]
        return Prepared({"sorted": values, "levels": levels, "level_counts": counts})

    def run(
        self, prepared: Prepared, current: Column, rng: np.random.Generator
    ) -> Outcome | NotTested:
        """Compare; or name ``all_null``, ``too_few_rows`` or ``constant``."""
        del rng  # nothing here is random
        reference = np.asarray(prepared.arrays["sorted"])
        batch = np.sort(np.asarray(current.present, dtype=np.float64))
        unfit = _unfit(reference, batch)
        if unfit is not None:
            return unfit
        levels, counts = _levels(batch)
        gap = _largest_gap(reference, levels, counts)
        m, n = reference.size, batch.size
        distance = gap.scaled / (m * n)
        slack = math.sqrt(math.log(4 / _ERROR) / 2) * (1 / math.sqrt(m) + 1 / math.sqrt(n))
        return Outcome(
            statistic=distance,
            p_value=kslaw.p_value(gap.scaled, m, n, _pooled_ties(prepared, levels, counts)),
            effect=distance,
            effect_low=max(0.0, distance - slack),
            effect_high=min(1.0, distance + slack),
            rows_reference=m,
            rows_current=n,
            explanation=_explain(reference, batch, gap),
        )


@dataclass(frozen=True, slots=True)
class _Gap:
    """The largest gap times m times n, where it is, and which way the batch moved."""

    scaled: int
    location: float
    direction: str | None


def _unfit(reference: Floats, batch: Floats) -> NotTested | None:
    if reference.size == 0 or batch.size == 0:
        return NotTested("all_null", "of the reference" if reference.size == 0 else "of the batch")
    if min(reference.size, batch.size) < MIN_ROWS:
        return NotTested("too_few_rows", f"{reference.size} reference, {batch.size} current")
    # A property of the pooled sample alone, so that leaving the test out favours nobody.
    if min(reference[0], batch[0]) == max(reference[-1], batch[-1]):
        return NotTested("constant", f"all {float(batch[0])!r}")
    return None


def _levels(ordered: Floats) -> tuple[Floats, Counts]:
    """Distinct values of a sorted array and how often each occurs."""
    last = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), ordered.size - 1)
    if ordered.size == 0:
        return ordered, np.empty(0, dtype=np.int64)
    return ordered[last], np.diff(last, prepend=-1).astype(np.int64)


def _largest_gap(reference: Floats, levels: Floats, counts: Counts) -> _Gap:
    """Largest |F - G|, in whole numbers, looking up as few batch values as the bounds allow.

    G jumps at the batch's values only and F grows only between them, so the gap is largest at one
    of them: from above, G(y) - F(y), or from below, F(y-) - G(y-). Every 16th value is looked up;
    between two of these, monotony bounds the gap, and only where the bound exceeds the best gap so
    far are the values between looked up too.
    """
    m, n = reference.size, int(counts.sum())
    upto = np.cumsum(counts)
    below = upto - counts
    seen = np.append(np.arange(0, levels.size - 1, _STRIDE), levels.size - 1)
    left, right = _ranks(reference, levels[seen])
    above, under = upto[seen] * m - right * n, left * n - below[seen] * m
    best = max(int(above.max()), int(under.max()))
    ceiling = np.maximum(below[seen[1:]] * m - right[:-1] * n, left[1:] * n - upto[seen[:-1]] * m)
    open_cells = np.flatnonzero(ceiling > best)
    if open_cells.size:
        between = seen[open_cells, None] + np.arange(1, _STRIDE)
        more = between[between < seen[open_cells + 1, None]]
        left, right = _ranks(reference, levels[more])
        seen = np.concatenate([seen, more])
        above = np.concatenate([above, upto[more] * m - right * n])
        under = np.concatenate([under, left * n - below[more] * m])
    return _choose(levels[seen], above, under)


def _choose(levels: Floats, above: Counts, under: Counts) -> _Gap:
    high, low = int(np.argmax(above)), int(np.argmax(under))
    if max(above[high], under[low]) <= 0:
        return _Gap(0, math.nan, None)
    if above[high] > under[low]:
        return _Gap(int(above[high]), float(levels[high]), "lower")
    return _Gap(int(under[low]), float(levels[low]), "higher")


def _ranks(reference: Floats, levels: Floats) -> tuple[Counts, Counts]:
    """Reference rows below each level, and at or below it; levels ascend."""
    right = np.searchsorted(reference, levels, side="right").astype(np.int64)
    left = right.copy()
    tied = np.flatnonzero((right > 0) & (reference[np.maximum(right, 1) - 1] == levels))
    if tied.size:
        left[tied] = np.searchsorted(reference, levels[tied], side="left")
    return left, right


def _pooled_ties(prepared: Prepared, levels: Floats, counts: Counts) -> Counts | None:
    """Pooled counts by distinct value if more than a tenth of the pooled sample is tied.

    Depends on the pooled sample alone, so the choice between the laws favours nobody.
    """
    known = np.asarray(prepared.arrays["levels"])
    if known.size == 0 or levels.size > kslaw.MAX_LEVELS:
        return None
    both, where = np.unique(np.concatenate([known, levels]), return_inverse=True)
    ties = np.zeros(both.size, dtype=np.int64)
    np.add.at(ties, where, np.concatenate([prepared.arrays["level_counts"], counts]))
    few = both.size <= min(kslaw.MAX_LEVELS, (1 - _TIE_SHARE) * int(ties.sum()))
    return ties if few else None


def _explain(reference: Floats, batch: Floats, gap: _Gap) -> dict[str, Any]:
    return {
        "location": _finite(gap.location),
        "direction": gap.direction,
        "median_reference": _quantile(reference, 0.5),
        "median_current": _quantile(batch, 0.5),
        "wasserstein_over_iqr": _wasserstein_over_iqr(reference, batch),
    }


def _wasserstein_over_iqr(reference: Floats, batch: Floats) -> float | None:
    """Mean distance of the two quantile functions over the reference's interquartile range.

    The integral over (0, 1) is a mean over 2048 midpoints: exact where both sizes divide 2048,
    else off by the share of the outermost rows that fall between two midpoints. None where the
    range is 0 or anything is infinite.
    """
    lower, upper = _quantile(reference, 0.25), _quantile(reference, 0.75)
    if lower is None or upper is None or not upper > lower:
        return None
    grid = (np.arange(_GRID) + 0.5) / _GRID
    ours = reference[(grid * reference.size).astype(np.int64)]
    theirs = batch[(grid * batch.size).astype(np.int64)]
    with np.errstate(all="ignore"):  # infinities of both signs, and overflow, end as None
        return _finite(float(np.mean(np.abs(ours - theirs)) / np.float64(upper - lower)))


def _quantile(ordered: Floats, level: float) -> float | None:
    """Linear interpolation between order statistics; None if it is infinite."""
    place = (ordered.size - 1) * level
    low, high = float(ordered[math.floor(place)]), float(ordered[math.ceil(place)])
    share = place - math.floor(place)
    return _finite(low if low == high else low * (1 - share) + high * share)


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None
