"""Boosted trees as the classifier: half of the rows to train on, the other half to test with.

In:    a reference sample, kept as it is; the current sample.
Out:   a one-sided Mann-Whitney p-value of held-out scores, the effect 2*AUC-1, what told the sides
       apart.
Never: lets a row that is tested shape the trees or the categories they know; needs scikit-learn
       unless ``learner: trees`` is configured.

The test is valid given the split, whatever the learner: under the null the held-out rows of both
sides are exchangeable, and a fixed function scores them (Lopez-Paz & Oquab 2017, ICLR; the rank
statistic instead of the accuracy, which has no power where sides are of unequal size).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from shiftwatch.errors import ConfigError
from shiftwatch.sample import Column, Sample
from shiftwatch.twosample import auc, rows
from shiftwatch.twosample.protocol import MIN_ROWS, NotTested, Outcome, Prepared

Floats = NDArray[np.float64]

_ITERATIONS = 60
_LEAVES = 15
_BINS = 63
_LEAST_IN_LEAF = 20
"""As in scikit-learn, less where half of the batch is small."""

_KEPT_PER_BATCH = 2
"""Reference rows kept, in units of ``max_rows``: half of them train, half of them test."""

_TRAIN_RATIO = 2
"""Reference rows to train on, in units of the batch's: more make the trees see one side only."""

_MOST_CATEGORIES = 60
"""Slots of a categorical column; scikit-learn takes one in each bin at most."""

_FAR = 1e300
"""Infinite numbers are as far as this, so that halfway between two is a number."""

_NORMAL_FROM = 50
"""Held-out rows of the smaller side from which the normal law of the rank sum is used."""

_PERMUTATIONS = 1999
_PERMUTED_RATIO = 50
_IMPORTANCE_ROWS = 1000
"""Held-out rows of each side at most, for the importance of columns."""


def require() -> None:
    """Load scikit-learn now.

    Raises
    ------
    ConfigError
        If it is not installed.
    """
    try:
        import sklearn.ensemble  # noqa: F401, PLC0415 - an extra: only if asked for
    except ImportError:
        raise ConfigError(
            "learner: trees needs scikit-learn, which is not installed",
            hint="pip install shiftwatch[trees], or write learner: ridge",
        ) from None


def prepare(reference: Sample, max_rows: int, rng: np.random.Generator) -> Prepared:
    """Keep rows in random order: as many as will be trained on and tested."""
    reference = rows.by_name(reference)
    order = rows.drawn(reference, rng)[: _KEPT_PER_BATCH * max_rows]
    arrays, facts = rows.kept(reference.take(order))
    return Prepared(arrays | {"positions": order.astype(np.int32)}, facts)


def run(
    prepared: Prepared, current: Sample, max_rows: int, rng: np.random.Generator
) -> Outcome | NotTested:
    """Train on one half, test on the other; rows beyond ``max_rows`` are left out at random."""
    reference = rows.restored(prepared.arrays, prepared.facts)
    if min(reference.rows, current.rows) < MIN_ROWS:
        return NotTested("too_few_rows", f"{reference.rows} and {current.rows} rows")
    current = rows.by_name(current)
    chosen = rows.drawn(current, rng)[:max_rows]
    halves = _Halves.of(reference, current.take(chosen), prepared.arrays["positions"], chosen)
    if halves.is_constant():
        return NotTested("constant")
    scorer = _trained(halves, rng)
    batch, other = scorer.scores(halves.test_batch), scorer.scores(halves.test_reference)
    area = auc.auc(batch, other)
    p_value = _p_value(batch, other, rng)
    explanation: dict[str, Any] = {"auc": round(area, 4), "learner": "trees"}
    if p_value <= auc.EXPLAIN_BELOW:
        explanation |= {
            "columns": _importance(scorer, halves, rng),
            "appeared": auc.highest(batch, halves.batch_positions),
            "vanished": auc.highest(-other, halves.reference_positions),
        }
    return Outcome(
        statistic=area,
        p_value=p_value,
        **auc.effects(area, other.size, batch.size),
        rows_reference=halves.train_reference.rows + other.size,
        rows_current=halves.train_batch.rows + batch.size,
        explanation=explanation,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Halves:
    """Rows to train on and rows to test with; positions are those of the rows to test with."""

    train_reference: Sample
    train_batch: Sample
    test_reference: Sample
    test_batch: Sample
    reference_positions: NDArray[np.int64]
    batch_positions: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        reference: Sample,
        batch: Sample,
        reference_positions: NDArray[Any],
        batch_positions: NDArray[np.int64],
    ) -> _Halves:
        """Cut samples whose rows are in random order."""
        half, cut = reference.rows // 2, batch.rows // 2
        trained = min(half, max(MIN_ROWS, _TRAIN_RATIO * cut))
        return cls(
            reference.take(np.arange(trained)),
            batch.take(np.arange(cut)),
            reference.take(np.arange(half, reference.rows)),
            batch.take(np.arange(cut, batch.rows)),
            reference_positions[half:].astype(np.int64),
            batch_positions[cut:],
        )

    def is_constant(self) -> bool:
        """Whether all rows of both sides are one and the same."""
        sides = (self.train_reference, self.train_batch, self.test_reference, self.test_batch)
        return len({key for side in sides for key in np.unique(rows.keys(side)).tolist()}) == 1


@dataclass(frozen=True, slots=True, eq=False)
class _Scorer:
    """Trained trees, with the categories and the columns of the rows they were trained on.

    ``alive`` are the columns with any value there; the others are held at 0, since scikit-learn
    finds no bins for them.
    """

    model: Any
    slots: Mapping[str, Mapping[str, int]]
    alive: NDArray[np.bool_]

    def scores(self, sample: Sample) -> Floats:
        """Log odds of being a row of the batch, shape (rows,)."""
        return self.of_matrix(self.matrix(sample))

    def matrix(self, sample: Sample) -> Floats:
        """A sample as the trees see it, shape (rows, columns)."""
        return _with_only(self.alive, _matrix(sample, self.slots))

    def of_matrix(self, matrix: Floats) -> Floats:
        """The same of a matrix as the trees see it; in single precision, so that ties are ties."""
        return np.asarray(self.model.decision_function(matrix), dtype=np.float32).astype(np.float64)


def _trained(halves: _Halves, rng: np.random.Generator) -> _Scorer:
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415 - an extra

    train = rows.pooled(halves.train_reference, halves.train_batch)
    slots = {c.name: _slots(c) for c in train.columns if c.kind == "categorical"}
    labels = np.arange(train.rows) >= halves.train_reference.rows
    model = HistGradientBoostingClassifier(
        max_iter=_ITERATIONS,
        max_leaf_nodes=_LEAVES,
        max_bins=_BINS,
        min_samples_leaf=min(_LEAST_IN_LEAF, max(2, train.rows // 20)),
        early_stopping=False,
        categorical_features=[c.kind == "categorical" for c in train.columns],
        random_state=int(rng.integers(2**31)),
    )
    # No weights: the area is free of the sides' sizes, and weighted bins take five times as long.
    matrix = _matrix(train, slots)
    alive = np.asarray(np.any(~np.isnan(matrix), axis=0))
    model.fit(_with_only(alive, matrix), labels)
    return _Scorer(model, slots, alive)


def _with_only(alive: NDArray[np.bool_], matrix: Floats) -> Floats:
    matrix[:, ~alive] = 0.0
    return matrix


def _slots(column: Column) -> dict[str, int]:
    """The most frequent categories of the rows trained on; all others share the slot after them."""
    counts = np.bincount(column.present, minlength=len(column.categories))
    seen = sorted(
        (-int(count), text) for count, text in zip(counts, column.categories, strict=True) if count
    )
    return {text: slot for slot, (_, text) in enumerate(seen[:_MOST_CATEGORIES])}


def _matrix(sample: Sample, slots: Mapping[str, Mapping[str, int]]) -> Floats:
    """Shape (rows, columns); null is NaN, a category its slot."""
    matrix = np.empty((sample.rows, len(sample.columns)))
    for index, column in enumerate(sample.columns):
        if column.kind == "numeric":
            values = np.clip(column.values, -_FAR, _FAR)
        else:
            known = slots[column.name]
            table = [known.get(text, len(known)) for text in column.categories]
            values = np.array([*table, -1], dtype=np.float64)[column.values.astype(np.int64)]
        matrix[:, index] = np.where(column.valid, values, np.nan)
    return matrix


def _p_value(batch: Floats, reference: Floats, rng: np.random.Generator) -> float:
    """P-value of batch rows scoring higher: normal law of the rank sum, or permutations.

    The normal law has the variance corrected for ties and half a rank for continuity (Lehmann
    1975, Nonparametrics, 1.2 and 1.4); it is used where both sides have enough rows.
    """
    if min(batch.size, reference.size) < _NORMAL_FROM:
        return _permuted_p(batch, reference, rng)
    m, n = reference.size, batch.size
    _, counts = np.unique(np.concatenate([batch, reference]), return_counts=True)
    sizes = counts.astype(np.float64)
    ties = float(np.sum(sizes**3 - sizes)) / ((m + n) * (m + n - 1))
    variance = m * n / 12 * (m + n + 1 - ties)
    if variance <= 0:
        return 1.0
    above = auc.auc(batch, reference) * m * n - m * n / 2 - 0.5
    return max(auc.P_FLOOR, float(special.ndtr(-above / np.sqrt(variance))))


def _permuted_p(batch: Floats, reference: Floats, rng: np.random.Generator) -> float:
    """Exact by permutation of the held-out labels; a seeded part of a much larger side is used."""
    reference = reference[: _PERMUTED_RATIO * batch.size]
    batch = batch[: _PERMUTED_RATIO * reference.size]
    _, places, counts = np.unique(
        np.concatenate([batch, reference]), return_inverse=True, return_counts=True
    )
    # Twice the midranks are whole numbers, so equal rank sums are equal.
    ranks = (2 * np.cumsum(counts) - counts + 1)[places]
    order = rng.random((_PERMUTATIONS, ranks.size), dtype=np.float32)
    chosen = np.argpartition(order, batch.size - 1, axis=1)[:, : batch.size]
    reached = np.count_nonzero(ranks[chosen].sum(axis=1) >= ranks[: batch.size].sum())
    return float((reached + 1) / (_PERMUTATIONS + 1))


def _importance(scorer: _Scorer, halves: _Halves, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Columns by what the held-out AUC loses when the column is shuffled (Breiman 2001).

    Shuffled over both sides together, so that the column says nothing about the side; on rows that
    the trees have not seen, so that many-valued columns are not favoured.
    """
    sides = [
        side.take(np.arange(min(side.rows, _IMPORTANCE_ROWS)))
        for side in (halves.test_batch, halves.test_reference)
    ]
    matrix = scorer.matrix(rows.pooled(*sides))

    def area(of: Floats) -> float:
        scores = scorer.of_matrix(of)
        return auc.auc(scores[: sides[0].rows], scores[sides[0].rows :])

    whole, names, losses = area(matrix), sides[0].names(), []
    for index in range(len(names)):
        shuffled = matrix.copy()
        shuffled[:, index] = rng.permutation(shuffled[:, index])
        losses.append(max(0.0, whole - area(shuffled)))
    total = sum(losses) or 1.0
    ranked = sorted(zip(losses, names, strict=True), key=lambda pair: (-pair[0], pair[1]))
    return [{"column": name, "share": round(loss / total, 4)} for loss, name in ranked if loss > 0]
