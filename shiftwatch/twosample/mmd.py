"""Maximum mean discrepancy over mixed columns: kernels of several widths, one exact p-value.

In:    a reference sample, prepared once; the current sample.
Out:   a p-value exact by permutation, an effect (MMD) with its interval, and what carries it.
Never: knows a level.

By default each bandwidth is used as plain MMD (Gretton et al. 2012) or with spectral regularisation
or both (:mod:`shiftwatch.twosample.kernel` has the ladder); all are combined over one set of
permutations (:mod:`shiftwatch.twosample.spectral`). With ``kernel: median`` there is one kernel,
evaluated exactly (:mod:`shiftwatch.twosample.median`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shiftwatch.sample import Sample
from shiftwatch.twosample import encoding, median, pair, permutation, spectral, witness
from shiftwatch.twosample.protocol import MIN_ROWS, NotTested, Outcome, Prepared

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Mmd:
    """Kernel two-sample test of all columns of a scope together; see ``settings.MmdSettings``."""

    permutations: int = 999
    features: int = 256
    max_rows: int = 5000
    kernel: str = "aggregate"

    name = "mmd"

    def prepare(self, reference: Sample, rng: np.random.Generator) -> Prepared:
        """Keep a small reference as it is, of a larger one what its rows are in the kernel."""
        if self.kernel == "median":
            return median.prepare(reference, self.max_rows, rng)
        return pair.keep(reference, self.features, self.max_rows, rng)

    def run(
        self, prepared: Prepared, current: Sample, rng: np.random.Generator
    ) -> Outcome | NotTested:
        """Compare; rows beyond ``max_rows`` are left out at random."""
        rows = int(prepared.facts["rows"])
        if min(rows, current.rows) < MIN_ROWS:
            return NotTested("too_few_rows", f"{rows} and {current.rows} rows")
        if self.kernel == "median":
            limits = self.permutations, self.features, self.max_rows
            return median.run(prepared, current, limits, rng)
        return self._aggregate(prepared, current, rng)

    def _aggregate(
        self, prepared: Prepared, current: Sample, rng: np.random.Generator
    ) -> Outcome | NotTested:
        whole = pair.make(prepared, current, (self.features, self.max_rows), rng)
        blocks = permutation.blocks(whole.reference.features, whole.current.features)
        used = whole.cut(blocks.rows_reference, blocks.rows_current)
        if encoding.is_constant(used.reference.encoded, used.current.encoded):
            return NotTested("constant")
        covariances = used.covariances(blocks.sums.sum(axis=0))
        made = self._statistics(blocks, used, covariances, rng)
        p_value, strongest = spectral.combined([statistic for _, statistic in made])
        scale = 1.0 / blocks.rows_current + 1.0 / blocks.rows_reference
        middle = covariances[used.bandwidths.median]
        effect, low, high = witness.distance(used, spectral.power_sums(middle, scale))
        explanation: dict[str, Any] = {}
        if p_value <= median.EXPLAIN_BELOW:
            explanation = witness.explain(used, *made[strongest])
        return Outcome(
            statistic=effect**2,
            p_value=p_value,
            effect=effect,
            effect_low=low,
            effect_high=high,
            rows_reference=blocks.rows_reference,
            rows_current=blocks.rows_current,
            explanation=explanation,
        )

    def _statistics(
        self,
        blocks: permutation.Blocks,
        used: pair.Pair,
        covariances: Sequence[Floats],
        rng: np.random.Generator,
    ) -> list[tuple[int, spectral.Statistic]]:
        """Every statistic, with the index of its bandwidth."""
        table = permutation.labels(len(blocks.sums), blocks.current, self.permutations, rng)
        changes = permutation.differences(blocks, table)
        scale = 1.0 / blocks.rows_current + 1.0 / blocks.rows_reference
        made = []
        for index, rung in enumerate(used.bandwidths.ladder):
            change = changes[:, used.parts[index]]
            found = spectral.statistics(change, covariances[index], rung.ridges, scale)
            made += [(index, statistic) for statistic in found]
        return made
