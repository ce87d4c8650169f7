"""What a model answers: probabilities of classes, and which class it says.

In:    predictions, and the label of the reference.
Out:   which columns are the probabilities of which classes; confidence and answer of each row.
Never: looks at the label of a batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shiftwatch.sample import Column, Sample
from shiftwatch.values import SchemaColumn

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

_SUM_TOLERANCE = 1e-3
_MOST_CLASSES = 100
_NUMBERS = ("int", "uint", "float", "double", "halffloat", "decimal")


@dataclass(frozen=True, slots=True)
class Recognised:
    """Which predictions are the probabilities of which classes.

    ``names`` are columns in the order of ``classes``, or one: the probability of the second of two.
    ``answer`` is a column that says which class the model answers; None: the most probable one.
    """

    names: tuple[str, ...]
    classes: tuple[str, ...]
    answer: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Rows that have an answer; the place of the class answered, and its probability."""

    rows: Codes
    chosen: Codes
    confidence: Floats


def recognised(sample: Sample, schema: Sequence[SchemaColumn], label: str) -> Recognised | str:
    """How to read the predictions; a text: why they cannot be read so."""
    predictions = [c.name for c in schema if c.role == "prediction" and c.derived_from is None]
    predictions = [name for name in predictions if sample.has(name)]
    names = probability_columns(sample, predictions)
    if not names:
        return "no prediction is a probability, or a set of them that sums to 1"
    classes = classes_of(sample.column(label))
    width = max(2, len(names))
    if len(classes) != width:
        return f"the label {label} has {len(classes)} values, the predictions have {width} classes"
    by_class = {name.rpartition("[")[2].removesuffix("]"): name for name in names}
    if set(by_class) == set(classes):
        names = [by_class[each] for each in classes]
    return Recognised(tuple(names), classes, _answer(sample, predictions, names, classes))


def probability_columns(sample: Sample, predictions: Sequence[str]) -> list[str]:
    """Predictions that are probabilities of classes: a set that sums to 1, or the only one.

    A column of nothing but 0 and 1 is an answer, not a probability.
    """
    numbers = [name for name in predictions if sample.column(name).kind == "numeric"]
    shares = [name for name in numbers if _is_probability(sample.column(name))]
    for group in (shares, *_groups(shares)):
        if 2 <= len(group) <= _MOST_CLASSES and _sums_to_one(sample, group):
            return group
    return shares if len(shares) == 1 else []


def _groups(names: Sequence[str]) -> Iterator[list[str]]:
    """Columns of one output of several: those of one name before the bracket."""
    bases = dict.fromkeys(name.rpartition("[")[0] for name in names if "[" in name)
    for base in bases:
        yield [name for name in names if name.rpartition("[")[0] == base]


def _is_probability(column: Column) -> bool:
    ascending = column.ascending
    if not ascending.size or ascending[0] < 0.0 or ascending[-1] > 1.0:
        return False
    return bool(np.any((ascending > 0.0) & (ascending < 1.0)))


def _sums_to_one(sample: Sample, names: Sequence[str]) -> bool:
    rows, given = _given(sample, names)
    return bool(rows.size and np.all(np.abs(given.sum(axis=1) - 1.0) <= _SUM_TOLERANCE))


def _given(sample: Sample, names: Sequence[str]) -> tuple[Codes, Floats]:
    """Rows that have all of the columns, and their values, shape (rows, names)."""
    columns = [sample.column(name) for name in names]
    rows = np.flatnonzero(np.logical_and.reduce([column.valid for column in columns]))
    return rows, np.stack([np.asarray(c.values, dtype=np.float64)[rows] for c in columns], axis=1)


def _answer(
    sample: Sample, predictions: Sequence[str], names: Sequence[str], classes: Sequence[str]
) -> str | None:
    """A prediction that says a class in each row, which need not be the most probable one."""
    for name in predictions:
        said = set() if name in names else set(classes_of(sample.column(name)))
        if said and said <= set(classes):
            return name
    return None


def read(sample: Sample, known: Recognised) -> Answers:
    """The answers on a sample that has the columns."""
    rows, given = _given(sample, known.names)
    if len(known.names) == 1:
        given = np.concatenate([1.0 - given, given], axis=1)
    chosen = given.argmax(axis=1).astype(np.int64)
    if known.answer is not None:
        chosen = places(sample.column(known.answer), known.classes)[rows]
        rows, given, chosen = rows[chosen >= 0], given[chosen >= 0], chosen[chosen >= 0]
    return Answers(rows, chosen, given[np.arange(rows.size), chosen])


def classes_of(label: Column) -> tuple[str, ...]:
    """Values of a column as texts, in the order in which learners give their classes.

    Numbers by size, also where they are kept as categories; texts by their code points. Of more
    than a model can have classes the first are enough to say so.
    """
    if label.kind == "numeric":
        found = np.unique(np.asarray(label.values, dtype=np.float64)[label.valid])
        return tuple(f"{value:g}" for value in found[: _MOST_CLASSES + 1])
    if label.kind != "categorical":
        return ()
    used = [label.categories[code] for code in np.unique(label.values[label.valid])]
    return tuple(sorted(used, key=_by_size if label.type.startswith(_NUMBERS) else str))


def _by_size(text: str) -> tuple[float, str]:
    try:
        return float(text), text
    except ValueError:
        return float("inf"), text


def places(column: Column, classes: Sequence[str]) -> Codes:
    """The place of each row's value among the classes; -1: null, or none of them."""
    place = {text: index for index, text in enumerate(classes)}
    if column.kind == "numeric":
        values, back = np.unique(
            np.where(column.valid, np.asarray(column.values, dtype=np.float64), np.nan),
            return_inverse=True,
        )
        table = np.array([place.get(f"{value:g}", -1) for value in values], dtype=np.int64)
        return table[back]
    texts = [place.get(text, -1) for text in column.categories]
    return np.array([*texts, -1], dtype=np.int64)[np.asarray(column.values, dtype=np.int64)]
