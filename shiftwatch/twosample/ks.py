"""Kolmogorov-Smirnov, per numeric column, against a reference sorted once.

In:    present values of a reference column; present values of a current one.
Out:   the largest gap between the two distribution functions, its p-value, where and which way.
Never: sorts the reference twice; reads all of it for a batch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from shiftwatch import whole
from shiftwatch.sample import Column
from shiftwatch.twosample import kslaw, quantiles
from shiftwatch.twosample.ordered import Gap, Ordered, largest_gap
from shiftwatch.twosample.protocol import MIN_ROWS, NotTested, Outcome, Prepared
from shiftwatch.values import Kind

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Values = NDArray[Any]
"""Float64, or int64 where float64 would round."""

_TIE_SHARE = 0.1
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
    sample at a/2. It holds whatever the two laws are. :meth:`explain` adds how far the values moved
    in their own unit, with intervals: see :mod:`shiftwatch.twosample.quantiles`.

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
        that says how they are written (:mod:`shiftwatch.whole`), else empty. ``knots``, ``start``
        and ``stop`` are those of :class:`~shiftwatch.twosample.ordered.Ordered`, ``grid``,
        ``coarse`` and ``marks`` those of :class:`~shiftwatch.twosample.quantiles.Outline`. ``levels`` and
        ``level_counts`` are empty where there are more than
        :data:`~shiftwatch.twosample.kslaw.MAX_LEVELS` distinct values.
        """
        del rng  # nothing here is random
        values: Values = reference.ascending
        if reference.exact is not None:
            values = np.sort(reference.exact[reference.valid])
        few = np.count_nonzero(values[1:] != values[:-1]) < kslaw.MAX_LEVELS
        # A copy, as a view would keep the whole column.
        levels, counts = _levels(values if few else values[:0].copy())
        exact = reference.type if reference.exact is not None else ""
        ordered, outline = Ordered.of(values), quantiles.Outline.of(reference.ascending)
        arrays = {
            "sorted": values,
            "knots": ordered.knots,
            "start": ordered.start,
            "stop": ordered.stop,
            "levels": levels,
            "level_counts": counts,
            "grid": outline.grid,
            "coarse": outline.coarse,
            "marks": outline.marks,
        }
        deviation = quantiles.finite(outline.deviation)
        return Prepared(arrays, {"exact": exact, "deviation": deviation})

    def run(
        self, prepared: Prepared, current: Column, rng: np.random.Generator
    ) -> Outcome | NotTested:
        """Compare; or name ``all_null``, ``too_few_rows`` or ``constant``."""
        del rng  # nothing here is random
        sides = _sides(prepared, current)
        unfit = _unfit(sides)
        if unfit is not None:
            return unfit
        gap = largest_gap(sides.reference, sides.batch)
        m, n = sides.reference.values.size, sides.batch.size
        distance = gap.scaled / (m * n)
        slack = math.sqrt(math.log(4 / _ERROR) / 2) * (1 / math.sqrt(m) + 1 / math.sqrt(n))
        return Outcome(
            statistic=distance,
            p_value=kslaw.p_value(gap.scaled, m, n, _pooled_ties(sides)),
            effect=distance,
            effect_low=max(0.0, distance - slack),
            effect_high=min(1.0, distance + slack),
            rows_reference=m,
            rows_current=n,
            explanation={"location": _location(sides, gap), "direction": gap.direction},
        )

    def explain(self, prepared: Prepared, current: Column) -> Mapping[str, Any]:
        """How far the values moved in their own unit: medians, distance, shifts of quantiles."""
        return quantiles.moved(_outline(prepared), quantiles.Outline.of(current.ascending))


@dataclass(frozen=True, slots=True, eq=False)
class _Sides:
    """Both samples sorted, in numbers that can be compared without rounding into ties."""

    reference: Ordered
    batch: Values
    levels: Values
    level_counts: Counts
    form: whole.Form | None

    def floats(self, values: Values) -> Floats:
        """The values as float64, for what is shown."""
        return values if self.form is None else self.form.read(values)


def _sides(prepared: Prepared, current: Column) -> _Sides:
    """Exact values where both sides have them; float32 where one side was stored as that.

    Values stored as float32 on one side only would differ from every tied value of the other by a
    rounding: steps that no shift made. The type says so, not the values, so nobody is favoured.
    """
    arrays, facts = prepared.arrays, prepared.facts
    levels, counts = arrays["levels"], arrays["level_counts"]
    kept = Ordered(arrays["sorted"], arrays["knots"], arrays["start"], arrays["stop"])
    form = whole.form_of(facts["exact"])
    if form is not None:
        batch = _exact(form, current)
        if batch is not None:
            return _Sides(kept, batch, levels, counts, form)
        kept, levels = Ordered.of(form.read(kept.values)), form.read(levels)
    if current.single:
        narrow = _narrow(current.ascending)
        reference = Ordered.of(_narrow(kept.values))
        return _Sides(reference, narrow, _narrow(levels), counts, None)
    return _Sides(kept, current.ascending, levels, counts, None)


def _exact(form: whole.Form, current: Column) -> Values | None:
    """Sorted exact values of the batch; None where it has none."""
    if current.exact is not None:
        return np.sort(current.exact[current.valid])
    present = np.asarray(current.present, dtype=np.float64)
    written = form.written(present, np.ones(present.size, dtype=np.bool_))
    return None if written is None else np.sort(written)


def _narrow(values: Values) -> Floats:
    with np.errstate(over="ignore"):  # beyond float32 is infinite there as well
        return values.astype(np.float32).astype(np.float64)


def _unfit(sides: _Sides) -> NotTested | None:
    reference, batch = sides.reference.values, sides.batch
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


def _pooled_ties(sides: _Sides) -> Counts | None:
    """Pooled counts by distinct value if more than a tenth of the pooled sample is tied.

    Depends on the pooled sample alone, so the choice between the laws favours nobody.
    """
    if sides.levels.size == 0:
        return None
    levels, counts = _levels(sides.batch)
    if levels.size > kslaw.MAX_LEVELS:
        return None
    both, where = np.unique(np.concatenate([sides.levels, levels]), return_inverse=True)
    ties = np.zeros(both.size, dtype=np.int64)
    np.add.at(ties, where, np.concatenate([sides.level_counts, counts]))
    few = both.size <= min(kslaw.MAX_LEVELS, (1 - _TIE_SHARE) * int(ties.sum()))
    return ties if few else None


def _outline(prepared: Prepared) -> quantiles.Outline:
    arrays, deviation = prepared.arrays, prepared.facts["deviation"]
    return quantiles.Outline(
        arrays["grid"],
        arrays["coarse"],
        arrays["marks"],
        arrays["sorted"].size,
        math.nan if deviation is None else deviation,
    )


def _location(sides: _Sides, gap: Gap) -> float | None:
    if gap.direction is None:
        return None
    place = np.array([gap.location], dtype=sides.batch.dtype)
    return quantiles.finite(float(sides.floats(place)[0]))
