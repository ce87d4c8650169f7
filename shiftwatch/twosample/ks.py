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

from shiftwatch import whole
from shiftwatch.sample import Column
from shiftwatch.twosample import kslaw, quantiles
from shiftwatch.twosample.protocol import MIN_ROWS, NotTested, Outcome, Prepared
from shiftwatch.values import Kind

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Values = NDArray[Any]
"""Float64, or int64 where float64 would round."""

_TIE_SHARE = 0.1
_STRIDE = 16
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
    sample at a/2. It holds whatever the two laws are. The explanation adds how far the values
    moved in their own unit, with intervals: see :mod:`shiftwatch.twosample.quantiles`.

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
        """Sort the present values, and count the distinct ones if they are few.

        ``sorted`` has shape (present rows,): float64, or int64 where ``exact`` is the Arrow type
        that says how they are written (:mod:`shiftwatch.whole`), else empty. ``levels`` and
        ``level_counts`` are empty where there are more than
        :data:`~shiftwatch.twosample.kslaw.MAX_LEVELS` distinct values.
        """
        del rng  # nothing here is random
        floats = np.sort(np.asarray(reference.present, dtype=np.float64))
        values: Values = floats
        if reference.exact is not None:
            values = np.sort(reference.exact[reference.valid])
        levels, counts = _levels(values)
        if levels.size > kslaw.MAX_LEVELS:
            levels, counts = levels[:0].copy(), counts[:0].copy()  # views would keep all of them
        with np.errstate(all="ignore"):  # infinite values: not finite, and None
            deviation = quantiles.finite(float(np.std(floats))) if floats.size else None
        exact = reference.type if reference.exact is not None else ""
        arrays = {"sorted": values, "levels": levels, "level_counts": counts}
        return Prepared(arrays, {"exact": exact, "deviation": deviation})

    def run(
        self, prepared: Prepared, current: Column, rng: np.random.Generator
    ) -> Outcome | NotTested:
        """Compare; or name ``all_null``, ``too_few_rows`` or ``constant``."""
        del rng  # nothing here is random
        sides = _sides(prepared, current)
        reference, batch = sides.reference, sides.batch
        unfit = _unfit(sides)
        if unfit is not None:
            return unfit
        levels, counts = _levels(batch)
        gap = _largest_gap(reference, levels, counts)
        m, n = reference.size, batch.size
        distance = gap.scaled / (m * n)
        slack = math.sqrt(math.log(4 / _ERROR) / 2) * (1 / math.sqrt(m) + 1 / math.sqrt(n))
        return Outcome(
            statistic=distance,
            p_value=kslaw.p_value(gap.scaled, m, n, _pooled_ties(sides, levels, counts)),
            effect=distance,
            effect_low=max(0.0, distance - slack),
            effect_high=min(1.0, distance + slack),
            rows_reference=m,
            rows_current=n,
            explanation=_explain(sides, gap, prepared.facts["deviation"]),
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Sides:
    """Both samples sorted, in numbers that can be compared without rounding into ties."""

    reference: Values
    batch: Values
    levels: Values
    level_counts: Counts
    form: whole.Form | None

    def floats(self, values: Values) -> Floats:
        """The values as float64, for what is shown."""
        return np.asarray(values) if self.form is None else self.form.read(values)


def _sides(prepared: Prepared, current: Column) -> _Sides:
    """Exact values where both sides have them; float32 where one side was stored as that.

    Values stored as float32 on one side only would differ from every tied value of the other by a
    rounding: steps that no shift made. The type says so, not the values, so nobody is favoured.
    """
    reference, levels = np.asarray(prepared.arrays["sorted"]), prepared.arrays["levels"]
    counts = np.asarray(prepared.arrays["level_counts"])
    batch: Values = np.asarray(current.present, dtype=np.float64)
    form = whole.form_of(prepared.facts["exact"])
    if form is not None:
        exact = current.exact if current.exact is not None else form.written(batch, _all(batch))
        if exact is not None:
            held = exact if current.exact is None else exact[current.valid]
            return _Sides(reference, np.sort(held), levels, counts, form)
        reference, levels = form.read(reference), form.read(np.asarray(levels))
    if current.single:
        reference, levels, batch = _narrow(reference), _narrow(levels), _narrow(batch)
    return _Sides(reference, np.sort(batch), levels, counts, None)


def _all(values: Values) -> NDArray[np.bool_]:
    return np.ones(values.size, dtype=np.bool_)


def _narrow(values: Values) -> Floats:
    with np.errstate(over="ignore"):  # beyond float32 is infinite there as well
        return np.asarray(values).astype(np.float32).astype(np.float64)


@dataclass(frozen=True, slots=True)
class _Gap:
    """The largest gap times m times n, where it is, and which way the batch moved."""

    scaled: int
    location: float | int
    direction: str | None


def _unfit(sides: _Sides) -> NotTested | None:
    reference, batch = sides.reference, sides.batch
    if reference.size == 0 or batch.size == 0:
        return NotTested("all_null", "of the reference" if reference.size == 0 else "of the batch")
    if min(reference.size, batch.size) < MIN_ROWS:
        return NotTested("too_few_rows", f"{reference.size} reference, {batch.size} current")
    # A property of the pooled sample alone, so that leaving the test out favours nobody.
    if min(reference[0], batch[0]) == max(reference[-1], batch[-1]):
        return NotTested("constant", f"all {float(sides.floats(batch[:1])[0])!r}")
    return None


def _levels(ordered: Values) -> tuple[Values, Counts]:
    """Distinct values of a sorted array and how often each occurs."""
    last = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), ordered.size - 1)
    if ordered.size == 0:
        return ordered, np.empty(0, dtype=np.int64)
    return ordered[last], np.diff(last, prepend=-1).astype(np.int64)


def _largest_gap(reference: Values, levels: Values, counts: Counts) -> _Gap:
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


def _choose(levels: Values, above: Counts, under: Counts) -> _Gap:
    high, low = int(np.argmax(above)), int(np.argmax(under))
    if max(above[high], under[low]) <= 0:
        return _Gap(0, math.nan, None)
    if above[high] > under[low]:
        return _Gap(int(above[high]), levels[high].item(), "lower")
    return _Gap(int(under[low]), levels[low].item(), "higher")


def _ranks(reference: Values, levels: Values) -> tuple[Counts, Counts]:
    """Reference rows below each level, and at or below it; levels ascend."""
    right = np.searchsorted(reference, levels, side="right").astype(np.int64)
    left = right.copy()
    tied = np.flatnonzero((right > 0) & (reference[np.maximum(right, 1) - 1] == levels))
    if tied.size:
        left[tied] = np.searchsorted(reference, levels[tied], side="left")
    return left, right


def _pooled_ties(sides: _Sides, levels: Values, counts: Counts) -> Counts | None:
    """Pooled counts by distinct value if more than a tenth of the pooled sample is tied.

    Depends on the pooled sample alone, so the choice between the laws favours nobody.
    """
    known = np.asarray(sides.levels)
    if known.size == 0 or levels.size > kslaw.MAX_LEVELS:
        return None
    both, where = np.unique(np.concatenate([known, levels]), return_inverse=True)
    ties = np.zeros(both.size, dtype=np.int64)
    np.add.at(ties, where, np.concatenate([sides.level_counts, counts]))
    few = both.size <= min(kslaw.MAX_LEVELS, (1 - _TIE_SHARE) * int(ties.sum()))
    return ties if few else None


def _explain(sides: _Sides, gap: _Gap, deviation: float | None) -> dict[str, Any]:
    reference, batch = sides.floats(sides.reference), sides.floats(sides.batch)
    moved = None
    if deviation is not None:
        moved = quantiles.wasserstein(reference, batch, deviation)
    location: float | None = None
    if gap.direction is not None:
        place = np.array([gap.location], dtype=sides.batch.dtype)
        location = quantiles.finite(float(sides.floats(place)[0]))
    return {
        "location": location,
        "direction": gap.direction,
        "median_reference": quantiles.quantile(reference, 0.5),
        "median_current": quantiles.quantile(batch, 0.5),
        "wasserstein_over_iqr": None if moved is None else moved.value,
        "wasserstein_low": None if moved is None else moved.low,
        "wasserstein_high": None if moved is None else moved.high,
        "quantile_shifts": quantiles.shifts(reference, batch),
    }
