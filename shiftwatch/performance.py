"""How well the model answers on a batch without labels, by what it does on the labelled reference.

In:    probabilities a model gives, and the labels of the reference.
Out:   what is kept of the reference; an estimated accuracy with a band, or why there is none.
Never: needs a label of a batch; claims to see a change of what the labels mean.

Garg et al. (2022, arXiv:2201.04234) show that no method can estimate this without an assumption on
the shift. Three methods that assume no concept drift, each in its own way, make the band.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shiftwatch.sample import Column, Sample
from shiftwatch.twosample.protocol import Prepared
from shiftwatch.values import SchemaColumn

Floats = NDArray[np.float64]

LEAST_ROWS = 200
"""Labelled rows of the reference below which nothing is said."""

ASSUMES = "no concept drift: that labels go with inputs as they did in the reference"

_NORMAL_975 = 1.959964
_SUM_TOLERANCE = 1e-3
_MOST_CLASSES = 100


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Probabilities of the classes, one row each; shape (rows, classes), rows that have all."""

    rows: NDArray[np.int64]
    probabilities: Floats

    @property
    def confidence(self) -> Floats:
        """That of the class that is answered."""
        top: Floats = self.probabilities.max(axis=1)
        return top

    @property
    def chosen(self) -> NDArray[np.int64]:
        """The place of the class that is answered."""
        places: NDArray[np.int64] = self.probabilities.argmax(axis=1)
        return places


def prepare(sample: Sample, schema: Sequence[SchemaColumn], label: str) -> Prepared:
    """What the reference says of confidence and being right.

    Parameters
    ----------
    sample
        The reference with predictions and the label.
    schema
        With roles.
    label
        Name of the label.

    Returns
    -------
    Prepared
        Array ``curve``, shape (2, knots): confidences in ascending order and the share of right
        answers at each (isotonic); facts: accuracy, mean confidence, threshold, rows; or
        ``reason`` why there is no estimate.
    """
    names = probability_columns(sample, schema)
    if not names:
        return _without("no prediction is a probability, or a set of them that sums to 1")
    classes, codes = _classes(sample.column(label))
    width = max(2, len(names))
    if len(classes) != width:
        return _without(
            f"the label {label} has {len(classes)} values, the predictions have {width} classes"
        )
    answers = answers_of(sample, names)
    known = codes[answers.rows] >= 0
    right = (answers.chosen == codes[answers.rows])[known]
    if right.size < LEAST_ROWS:
        return _without(f"{right.size} labelled rows of at least {LEAST_ROWS}")
    confidence = answers.confidence[known]
    accuracy = float(right.mean())
    share = np.bincount(codes[answers.rows][known], minlength=width).max() / right.size
    if accuracy < 1.0 / width or (accuracy < share and accuracy < 0.5):
        return _without(
            "the predictions do not go with the label: they are right less often than by chance"
        )
    curve = isotonic(confidence, right.astype(np.float64))
    facts = {
        "names": names,
        "accuracy": accuracy,
        "confidence": float(confidence.mean()),
        "threshold": float(np.quantile(confidence, 1.0 - accuracy)),
        "rows": int(right.size),
    }
    return Prepared({"curve": curve}, facts)


def _without(reason: str) -> Prepared:
    return Prepared({}, {"reason": reason})


def probability_columns(sample: Sample, schema: Sequence[SchemaColumn]) -> list[str]:
    """Predictions that are probabilities of classes: one of two, or a set that sums to 1."""
    named = [c.name for c in schema if c.role == "prediction" and c.derived_from is None]
    numbers = [n for n in named if sample.has(n) and sample.column(n).kind == "numeric"]
    shares = [name for name in numbers if _is_share(sample.column(name))]
    if len(shares) == 1:
        return shares
    if not 2 <= len(shares) <= _MOST_CLASSES:
        return []
    total = answers_of(sample, shares).probabilities.sum(axis=1)
    sums = total.size > 0 and bool(np.all(np.abs(total - 1.0) <= _SUM_TOLERANCE))
    return shares if sums else []


def _is_share(column: Column) -> bool:
    ascending = column.ascending
    return bool(ascending.size and ascending[0] >= 0.0 and ascending[-1] <= 1.0)


def answers_of(sample: Sample, names: Sequence[str]) -> Answers:
    """The probabilities of all classes, of rows that have them."""
    columns = [sample.column(name) for name in names]
    rows = np.flatnonzero(np.logical_and.reduce([column.valid for column in columns]))
    parts = [np.asarray(column.values, dtype=np.float64)[rows] for column in columns]
    given = np.stack(parts, axis=1) if len(parts) > 1 else np.stack([1 - parts[0], parts[0]], 1)
    return Answers(rows, given)


def _classes(label: Column) -> tuple[list[str], NDArray[np.int64]]:
    """Values of the label in the order that learners give their classes, and each row's place."""
    if label.kind == "numeric":
        values = np.asarray(label.values, dtype=np.float64)
        found = np.unique(values[label.valid])
        places = np.searchsorted(found, np.where(label.valid, values, found[:1].sum()))
        codes = np.where(label.valid, places, -1)
        return [f"{value:g}" for value in found[: _MOST_CLASSES + 1]], codes.astype(np.int64)
    used = sorted(
        {label.categories[code] for code in np.unique(label.values[label.valid])}, key=_order
    )
    place = {text: index for index, text in enumerate(used)}
    table = np.array([place.get(text, -1) for text in label.categories] + [-1], dtype=np.int64)
    return used, table[np.asarray(label.values, dtype=np.int64)]


def _order(text: str) -> tuple[int, float, str]:
    """Numbers by their size, then texts: as a learner sorts its classes."""
    try:
        return 0, float(text), text
    except ValueError:
        return 1, 0.0, text


def isotonic(x: Floats, y: Floats) -> Floats:
    """Isotonic regression of y on x (pool adjacent violators), at its corners.

    Parameters
    ----------
    x, y
        Shape (rows,).

    Returns
    -------
    Shape (2, knots): ascending x, and the fitted y; between knots it is interpolated.

    Examples
    --------
    >>> isotonic(np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.0, 1.0, 0.0, 1.0])).tolist()
    [[1.0, 2.0, 3.0, 4.0], [0.0, 0.5, 0.5, 1.0]]
    """
    order = np.argsort(x, kind="stable")
    places, starts = np.unique(x[order], return_index=True)
    sums = np.add.reduceat(y[order], starts)
    counts = np.diff(np.append(starts, x.size)).astype(np.float64)
    blocks: list[list[float]] = []  # sum, weight, first place, last place
    for place, (total, weight) in enumerate(zip(sums, counts, strict=True)):
        blocks.append([float(total), float(weight), place, place])
        while len(blocks) > 1 and blocks[-2][0] * blocks[-1][1] >= blocks[-1][0] * blocks[-2][1]:
            last = blocks.pop()
            blocks[-1][0] += last[0]
            blocks[-1][1] += last[1]
            blocks[-1][3] = last[3]
    knots = [
        (places[int(at)], block[0] / block[1])
        for block in blocks
        for at in dict.fromkeys((block[2], block[3]))
    ]
    return np.array(knots, dtype=np.float64).T


def estimate(prepared: Prepared, sample: Sample) -> dict[str, Any]:
    r"""The accuracy on a batch, and how far it is from that on the reference.

    Parameters
    ----------
    prepared
        By :func:`prepare`.
    sample
        The batch, with predictions.

    Returns
    -------
    dict
        ``metric``, ``reference``, ``estimate`` (the middle of the methods), ``change_low`` and
        ``change_high``, ``methods``, ``assumes``; or ``not_estimated``, why.

    Notes
    -----
    ``confidence``: the mean of :math:`P(\text{right} \mid s)`, fitted on the reference by isotonic
    regression (confidence-based estimation). ``threshold``: the share of rows whose confidence is
    above that exceeded by as many rows of the reference as are right (ATC, Garg et al. 2022, eq. 1).
    ``difference``: the accuracy on the reference less the fall of the mean confidence (DoC, Guillory
    et al. 2021). The band reaches from the least to the largest of them, and 1.96 standard errors
    beyond: of the accuracy on the reference, and of the mean over the batch.
    """
    facts: Mapping[str, Any] = prepared.facts
    if "reason" in facts:
        return {"not_estimated": facts["reason"]}
    names = facts["names"]
    if not all(sample.has(name) for name in names):
        return {"not_estimated": "the batch has no predictions"}
    confidence = answers_of(sample, names).confidence
    if confidence.size < 30:
        return {"not_estimated": f"{confidence.size} rows with predictions are too few"}
    known, fitted = prepared.arrays["curve"]
    right = np.interp(confidence, known, fitted)
    accuracy = facts["accuracy"]
    methods = {
        "confidence": float(right.mean()),
        "threshold": float((confidence > facts["threshold"]).mean()),
        "difference": accuracy - (facts["confidence"] - float(confidence.mean())),
    }
    methods = {name: min(1.0, max(0.0, value)) for name, value in methods.items()}
    spread = float(right.var()) / confidence.size
    error = _NORMAL_975 * math.sqrt(accuracy * (1 - accuracy) / facts["rows"] + spread)
    low, high = min(methods.values()) - error, max(methods.values()) + error
    return {
        "metric": "accuracy",
        "reference": round(accuracy, 6),
        "estimate": round(sorted(methods.values())[1], 6),
        "change_low": round(max(0.0, low) - accuracy, 6),
        "change_high": round(min(1.0, high) - accuracy, 6),
        "methods": {name: round(value, 6) for name, value in methods.items()},
        "assumes": ASSUMES,
    }
