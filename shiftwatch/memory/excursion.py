"""What was counted since a chart last stood at its lowest, and how far it is from the reference.

In:    charts after a batch, the batch's summary.
Out:   counts by chart; effects with their bounds, to be held against a tolerance.
Never: decides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shiftwatch.memory import windows
from shiftwatch.memory.plan import ChartPlan
from shiftwatch.summary import Summary

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Since:
    """Counts since the start of each chart's excursion.

    ``numbers`` has shape (2 kinds, sides, numeric columns, bins), as level and spread, upwards and
    downwards, start at different batches; ``cells`` and ``nulls`` are kept once a column, since the
    earliest start among its charts.
    """

    numbers: Counts
    cells: Counts
    nulls: Counts

    @classmethod
    def empty(cls, like: Summary, sides: int) -> Since:
        """Nothing counted."""
        return cls(
            np.zeros((2, sides, *like.numeric.shape), dtype=np.int64),
            np.zeros_like(like.cells),
            np.zeros_like(like.nulls),
        )

    def after(self, plan: ChartPlan, batch: Summary, running: Mask) -> Since:
        """With one more batch where a chart is ``running``, shape (charts, sides); else nothing."""
        sides = running.shape[1]
        ranks = running[: 2 * plan.width].reshape(2, plan.width, sides).transpose(0, 2, 1)
        by_column = np.zeros(len(plan.layout.columns), dtype=np.bool_)
        of_cells = ~plan.of_nulls
        of_cells[: 2 * plan.width] = False
        by_column[plan.columns[of_cells & running.any(axis=1)]] = True
        null_runs = np.zeros_like(by_column)
        null_runs[plan.columns[plan.of_nulls & running.any(axis=1)]] = True
        return Since(
            np.where(ranks[..., None], self.numbers + batch.numeric, 0),
            np.where(by_column[plan.width :, None], self.cells + batch.cells, 0),
            np.where(null_runs[:, None], self.nulls + batch.nulls, 0),
        )

    def effects(self, plan: ChartPlan, reference: Summary, kappas: Floats) -> tuple[Floats, Floats]:
        """Effect of every chart and side, and one standard slack of it; shape (charts, sides) each.

        Kolmogorov-Smirnov distance between bins, total variation of cells, difference of null
        rates. The slack is sqrt(1/m) + sqrt(1/n), times the root of the inflation: by the
        inequality of Dvoretzky, Kiefer and Wolfowitz, of McDiarmid, or of Hoeffding, the effect is
        within sqrt(ln(4/a)/2) slacks of the truth with a chance of at least 1 - a.
        """
        sides = self.numbers.shape[1]
        numbers = self.numbers.reshape(2 * sides, *reference.numeric.shape)
        numeric = [windows.distances(each, reference.numeric)[0] for each in numbers]
        ranked = (
            np.stack(numeric).reshape(2, sides, plan.width) if numeric else np.zeros((2, sides, 0))
        )
        rows_ranked = self.numbers.sum(axis=3)
        cells = windows.variation(self.cells, reference.cells)
        nulls = windows.variation(self.nulls, reference.nulls)
        effects = self._by_chart(plan, ranked, cells, nulls)
        rows = self._by_chart(plan, rows_ranked, self.cells.sum(axis=1), self.nulls.sum(axis=1))
        own = np.concatenate([reference.numeric.sum(axis=1), reference.cells.sum(axis=1)])
        m = np.where(plan.of_nulls, reference.nulls.sum(axis=1)[plan.columns], own[plan.columns])
        slack = 1 / np.sqrt(np.maximum(rows, 1)) + 1 / np.sqrt(np.maximum(m, 1))[:, None]
        return effects, slack * np.sqrt(kappas)[:, None]

    def _by_chart(
        self,
        plan: ChartPlan,
        ranked: Floats | Counts,
        cells: Floats | Counts,
        nulls: Floats | Counts,
    ) -> Floats:
        sides = self.numbers.shape[1]
        first = ranked.transpose(0, 2, 1).reshape(2 * plan.width, sides)
        rest = np.concatenate([np.repeat(cells, plan.groups), nulls[plan.nulls]])
        return np.concatenate([first, np.repeat(rest[:, None], sides, axis=1)]).astype(np.float64)
