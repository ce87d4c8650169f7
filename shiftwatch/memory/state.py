"""What the memory of a model is, and what it rests on.

In:    arrays and settings.
Out:   frozen values.
Never: moves on by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from shiftwatch.memory.charts import Evidences, Sums
from shiftwatch.memory.excursion import Since
from shiftwatch.memory.plan import ChartPlan
from shiftwatch.memory.windows import LENGTHS, Window
from shiftwatch.summary import Layout, Summary
from shiftwatch.values import Scope, SlowEvidence

Floats = NDArray[np.float64]

TRIFLE_ERROR = 0.05
"""A shift is shown to be below the tolerance if its upper bound at this error is."""


@dataclass(frozen=True, slots=True, eq=False)
class Basis:
    """What the memory of one model rests on; the same for every batch.

    Parameters
    ----------
    plan
        The charts.
    reference
        The reference's own summary.
    scopes
        By column of the layout: the scope of its alarms.
    tolerances, null_tolerances
        Smallest effect that matters; shape (columns,).
    kappas, null_kappas
        Inflation of variances by dependence, 1 or more; shape (columns,).
    prove
        Whether an alarm needs an effect shown to exceed the tolerance.
    """

    plan: ChartPlan
    reference: Summary
    scopes: tuple[Scope, ...]
    tolerances: Floats
    null_tolerances: Floats
    kappas: Floats
    null_kappas: Floats
    prove: bool = False

    @classmethod
    def plain(cls, layout: Layout, reference: Summary, scopes: Sequence[Scope]) -> Basis:
        """Without tolerances, rows independent."""
        zeros, ones = np.zeros(len(layout.columns)), np.ones(len(layout.columns))
        plan = ChartPlan.of(layout, reference)
        return cls(plan, reference, tuple(scopes), zeros, zeros, ones, ones)

    def by_chart(self, values: Floats, of_nulls: Floats) -> Floats:
        """Values by column as values by chart."""
        columns = self.plan.columns
        return np.where(self.plan.of_nulls, of_nulls[columns], values[columns])


@dataclass(frozen=True, slots=True)
class Spending:
    """What one check may spend, in expected false alarms of the model.

    ``steady`` says that every check may spend the same: then the charts have the run length of
    their budget, otherwise a threshold anew at each check.
    """

    windows: float
    pool: float
    method: Literal["cusum", "e-process"] = "cusum"
    steady: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """What is remembered of a model's past batches; its size does not depend on their number.

    Parameters
    ----------
    number
        Batches folded in so far.
    ids
        Names of the batches that are still referred to, by number.
    pool
        The reference's counts and those of the batches that were taken for normal.
    windows
        One for each of :data:`~shiftwatch.memory.windows.LENGTHS`.
    held
        By length: what the window said when it was last full, by scope.
    charts
        Cumulative sums or e-processes.
    since
        Counts of their excursions.
    frozen
        Whether the pool stands still.
    """

    number: int
    ids: Mapping[int, str]
    pool: Summary
    windows: tuple[Window, ...]
    held: Mapping[int, Mapping[Scope, SlowEvidence]]
    charts: Sums | Evidences
    since: Since
    frozen: bool = False

    @classmethod
    def new(cls, basis: Basis, method: Literal["cusum", "e-process"] = "cusum") -> Memory:
        """Of a model without a past."""
        nothing = basis.reference - basis.reference
        kind = Sums if method == "cusum" else Evidences
        sides = 2 if method == "cusum" else 1
        return cls(
            number=0,
            ids={},
            pool=basis.reference,
            windows=tuple(Window(nothing, 0, 0, 0.0) for _ in LENGTHS),
            held={},
            charts=kind.empty(basis.plan.charts),
            since=Since.empty(basis.reference, sides),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """A batch that was looked at, and not yet taken in or left out."""

    memory: Memory
    batch: Summary
    evidence: Mapping[Scope, Mapping[str, SlowEvidence]]
    suspect: NDArray[np.bool_]
    """Charts and sides that stand high, shape (charts, sides): if an alarm rises, by whatever
    layer, their excursions are taken out of the pool."""


@dataclass(frozen=True, slots=True)
class Alarms:
    """What became of the alarms of the tested scopes with this batch."""

    on: bool = False
    """Whether one is on after it: then the pool stands still."""
    raised: bool = False
    """Whether one rose: then the windows begin anew, or one bad batch would raise the alarm again
    in every window that still holds it."""
    cleared: tuple[Scope, ...] = ()
    """Scopes whose alarm ended: their charts begin anew, and all windows."""
    seen: tuple[Scope, ...] = ()
    """Scopes whose alarm rose by a check alone: their charts begin anew at once."""
