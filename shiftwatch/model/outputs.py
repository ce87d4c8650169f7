"""From what a model answers to columns that can be tested.

In:    declared outputs, the raw answers of each run.
Out:   columns with role prediction; findings for outputs that are left out.
Never: interprets a score: a probability, a price and an embedding are all numbers.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shiftwatch.model.inputs import Rows, Shape, declared
from shiftwatch.sample import Column, Floats, categorical, numeric
from shiftwatch.values import Finding

MAX_OUTPUT_COLUMNS = 256
"""Prediction columns kept of one model; an embedding may have thousands."""

SIGNIFICANT_DIGITS = 6
"""Digits kept of a floating output."""

_NUMBERS = ("float16", "float", "double", "int8", "int16", "int32", "int64")
_NUMBERS_UNSIGNED = ("uint8", "uint16", "uint32", "uint64")
_TENSORS = tuple(f"tensor({e})" for e in (*_NUMBERS, *_NUMBERS_UNSIGNED, "bool", "string"))
_MAPS = tuple(f"seq(map({key},tensor(float)))" for key in ("int64", "string"))
_ARROW_TYPES = {"float16": "halffloat", "float32": "float", "float64": "double"}
_LABEL_WORDS = ("label", "class")


@dataclass(frozen=True, slots=True)
class ModelOutput:
    """An output as the model declares it; shapes as in :class:`ModelInput`."""

    name: str
    type: str
    shape: Shape

    @property
    def is_map(self) -> bool:
        """Whether it is a ZipMap: a score per class name, row by row."""
        return self.type in _MAPS

    @property
    def usable(self) -> bool:
        """Whether it can become columns."""
        return self.is_map or (self.type in _TENSORS and len(self.shape) <= 2)

    def __str__(self) -> str:
        return f"output {self.name!r}, {declared(self.type, self.shape)}"


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What one run says on one output: a row of ``values`` per row fed.

    ``keys`` are the class names of a ZipMap, sorted; empty for a tensor.
    """

    values: NDArray[Any]
    keys: tuple[Hashable, ...] = ()


def answer(output: ModelOutput, raw: Any) -> Answer:
    """One run's raw output as a matrix; tensors of other than two dimensions stay as they are."""
    if not output.is_map:
        values = np.asarray(raw)
        return Answer(values[:, np.newaxis] if values.ndim == 1 else values)
    keys = tuple(sorted(raw[0]))
    return Answer(np.array([[row[key] for key in keys] for row in raw], dtype=np.float32), keys)


def columns(
    outputs: Sequence[ModelOutput],
    runs: Sequence[Sequence[Answer]],
    rows: Rows,
    total: int,
) -> tuple[tuple[Column, ...], tuple[Finding, ...]]:
    """Prediction columns of ``total`` rows, null where a row was not fed.

    Parameters
    ----------
    outputs
        The usable outputs.
    runs
        For each run an answer per output.
    rows
        Which rows were fed, in the order of the answers.
    total
        Rows of the sample.
    """
    names: set[str] = set()
    kept: list[Column] = []
    findings: list[Finding] = []
    for index, output in enumerate(outputs):
        parts = [run[index] for run in runs]
        room = MAX_OUTPUT_COLUMNS - len(kept)
        unusable = _problem(parts, rows.size)
        if problem := unusable or _cut(parts, room):
            findings.append(Finding("output_skipped", output.name, problem, "note"))
        if not unusable:
            label = _is_label(output, outputs)
            for name, values in _split(output, parts, room):
                kept.append(_column(_free(name, names), values, rows, total, label=label))
    return tuple(kept), tuple(findings)


def skipped(outputs: Sequence[ModelOutput]) -> tuple[Finding, ...]:
    """Findings for the outputs that no column can hold."""
    return tuple(
        Finding("output_skipped", o.name, f"{o}, is not a value per row; not watched", "note")
        for o in outputs
        if not o.usable
    )


def _problem(parts: Sequence[Answer], rows: int) -> str:
    shape = parts[0].values.shape
    tables = all(len(part.values.shape) == 2 for part in parts)
    even = tables and len({part.values.shape[1] for part in parts}) == 1
    if even and sum(part.values.shape[0] for part in parts) == rows:
        return ""
    return f"came with shape {list(shape)}, which is not a row per row fed; not watched"


def _cut(parts: Sequence[Answer], room: int) -> str:
    width = parts[0].values.shape[1]
    if width <= room:
        return ""
    return f"only the first {room} of its {width} columns are watched"


def _split(
    output: ModelOutput, parts: Sequence[Answer], room: int
) -> Iterator[tuple[str, NDArray[Any]]]:
    matrix = np.concatenate([part.values for part in parts])
    width, keys = matrix.shape[1], parts[0].keys
    if width == 1 and not keys:
        yield output.name, matrix[:, 0]
        return
    for index, key in enumerate((keys or tuple(range(width)))[:room]):
        yield f"{output.name}[{key}]", matrix[:, index]


def _free(name: str, names: set[str]) -> str:
    # An output may be called `x[0]` beside a vector called `x`.
    while name in names:
        name = f"{name}'"
    names.add(name)
    return name


def _is_label(output: ModelOutput, outputs: Sequence[ModelOutput]) -> bool:
    """Whether integers of this output are names of classes: a matter of convention.

    True if the name says so, or if another output has a score per class.
    """
    if any(word in output.name.lower() for word in _LABEL_WORDS):
        return True
    return any(other.is_map or _is_scores(other) for other in outputs if other is not output)


def _is_scores(output: ModelOutput) -> bool:
    floats = output.type in ("tensor(float)", "tensor(double)")
    return floats and len(output.shape) == 2 and output.shape[1] != 1


def _column(name: str, values: NDArray[Any], rows: Rows, total: int, *, label: bool) -> Column:
    kind = values.dtype.kind
    if kind == "f" or (kind in "iu" and not label):
        full = np.full(total, np.nan)
        full[rows] = rounded(values.astype(np.float64)) if kind == "f" else values
        column = numeric(name, full, "prediction")
    else:
        texts: list[str | None] = [None] * total
        for row, value in zip(rows.tolist(), values.tolist(), strict=True):
            texts[row] = str(value).lower() if kind == "b" else str(value)
        column = categorical(name, texts, "prediction")
    return replace(column, type=_arrow_type(values.dtype))


def _arrow_type(dtype: np.dtype[Any]) -> str:
    if dtype.kind in "OU":
        return "string"
    return _ARROW_TYPES.get(str(dtype), str(dtype))


def rounded(values: Floats) -> Floats:
    """Values to six significant digits.

    The same model on the same row differs in the last digits of float32 between processors and
    between batch sizes; without rounding a rank test would see ties on one machine and none on the
    other. Significant digits, not decimals, so that prices and tiny rates are treated alike;
    between 0.1 and 1 it is rounding to 1e-6.

    Examples
    --------
    >>> rounded(np.array([0.12345678, 123456.78, 1.2345678e-9, 0.0, -np.inf])).tolist()
    [0.123457, 123457.0, 1.23457e-09, 0.0, -inf]
    """
    size = np.abs(values)
    usual = np.isfinite(values) & (size > 1e-290)
    power = np.floor(np.log10(np.where(usual, size, 1.0)))
    # Powers of ten are exact up to 1e22 and their inverses never, so multiply and divide by those.
    shift = SIGNIFICANT_DIGITS - 1 - power
    up, down = 10.0 ** np.maximum(shift, 0), 10.0 ** np.maximum(-shift, 0)
    with np.errstate(invalid="ignore"):
        near = np.round(values / down * up) / up * down
    return np.where(usual, near, values) + 0.0
