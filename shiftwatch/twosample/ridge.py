"""The classifier in closed form: sparse discriminant analysis, refitted under every permutation.

In:    a reference sample, prepared once; the current sample.
Out:   a p-value exact by permutation, the effect 2*AUC-1 of held-out scores, what moved.
Never: knows a level; takes a textbook null for pooled out-of-fold scores, which is wrong.

Coordinates are the whitened columns, and squares and products of them (:mod:`whitening`). The
classifier weighs each coordinate by its shift, shrunk towards 0 (:mod:`evidence`); its fit is the
sum of log Bayes factors, of the columns alone and of squares and products alone, combined by the
larger on the scale of -log p (Westfall & Young 1993). A fit is a function of one mean difference
per coordinate, so refitting under all permutations of the labels is one matrix product, and the
level is exact (Harchaoui, Bach & Moulines 2008, with an explicit map). Rows are permuted in blocks,
a subgroup of all permutations.

A large reference has rows to spare: the map is fitted on those once, and the batch costs little. A
small one has none: the map is then fitted on all rows of both sides at every check, which knows no
labels either, and no row is lost.

The effect comes from scores of rows in blocks that the classifier has not seen (ten folds, AUC
within each), so it is what a fresh row would see.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from shiftwatch.sample import Sample
from shiftwatch.twosample import auc, moves, rows, whitening
from shiftwatch.twosample.discriminant import Fit, Sides
from shiftwatch.twosample.protocol import MIN_ROWS, NotTested, Outcome, Prepared
from shiftwatch.twosample.tail import permutation_p
from shiftwatch.twosample.whitening import Frame

_POOLED_ROWS = 3000
"""References up to this many rows have none to spare."""

_SPARE_ROWS = 5000
"""Rows to fit the map on at most, of those that are not tested."""

_HELD_OUT_SHARE = 5
_HELD_OUT_ROWS = 1000
"""A reference without rows to spare gives one in five, at most so many."""

_TESTED_RATIO = 50
_TESTED_ROWS = 1000
"""Against a small batch no more reference rows are tested than so many times its rows, or this
number: fifty times loses 2 % of the effective rows, and permuting thousands would take longest."""


def prepare(reference: Sample, max_rows: int, rng: np.random.Generator) -> Prepared:
    """Keep the rows of a small reference as they are; fit the map beside a large one."""
    reference = rows.by_name(reference)
    order = rows.drawn(reference, rng)
    if reference.rows <= min(_POOLED_ROWS, max_rows):
        arrays, facts = rows.kept(reference.take(order))
        return Prepared(arrays | {"positions": order.astype(np.int32)}, facts | {"pooled": True})
    held_out = min(reference.rows // _HELD_OUT_SHARE, _HELD_OUT_ROWS)
    spare = min(max(held_out, reference.rows - max_rows), _SPARE_ROWS)
    tested = order[spare : spare + max_rows]
    frame = whitening.fit(reference.take(order[:spare]))
    standardised = frame.standardised(reference.take(tested))
    plain, encoding = frame.to_plain()
    tested_rows = {"standardised": standardised, "positions": tested.astype(np.int32)}
    return Prepared(plain | tested_rows, {"encoding": encoding, "pooled": False})


def run(
    prepared: Prepared, current: Sample, most: tuple[int, int], rng: np.random.Generator
) -> Outcome | NotTested:
    """Compare; ``most`` are the permutations, and the rows of the batch, others being left out."""
    permutations, max_rows = most
    available = int(prepared.arrays["positions"].size)
    if min(available, current.rows) < MIN_ROWS:
        return NotTested("too_few_rows", f"{available} and {current.rows} rows")
    current = rows.by_name(current)
    chosen = rows.drawn(current, rng)[:max_rows]
    sides = _sides(prepared, current.take(chosen))
    if sides.is_constant():
        return NotTested("constant")
    fit = Fit.of(sides)
    fits = fit.under_permutations(permutations, rng)
    p_value = permutation_p(fits.max(axis=0))
    scores = fit.held_out_scores(sides)
    area = scores.area()
    explanation: dict[str, Any] = {
        "auc": round(area, 4),
        "features": "columns" if fits[0, 0] >= fits[1, 0] else "squares and products",
        "columns": moves.shares(fit.factors(fit.observed()), sides.frame, current.names()),
    }
    if p_value <= auc.EXPLAIN_BELOW:
        explanation |= {
            "moves": moves.strongest(sides, current.names()),
            "appeared": auc.highest(scores.current, chosen),
            "vanished": auc.highest(-scores.reference, prepared.arrays["positions"]),
        }
    return Outcome(
        statistic=area,
        p_value=p_value,
        **auc.effects(area, fit.rows_reference, fit.rows_current),
        rows_reference=fit.rows_reference,
        rows_current=fit.rows_current,
        explanation=explanation,
    )


def _sides(prepared: Prepared, current: Sample) -> Sides:
    most = max(_TESTED_ROWS, _TESTED_RATIO * current.rows)
    if not prepared.facts["pooled"]:
        frame = Frame.from_plain(prepared.arrays, prepared.facts["encoding"])
        return Sides(frame, prepared.arrays["standardised"][:most], frame.standardised(current))
    reference = rows.restored(prepared.arrays, prepared.facts)
    both = rows.pooled(reference, current)
    frame = whitening.fit(both)
    standardised = frame.standardised(both)
    tested = min(most, reference.rows)
    return Sides(frame, standardised[:tested], standardised[reference.rows :])
