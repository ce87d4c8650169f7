"""From columns to the tensors a model asks for.

In:    declared inputs, the reference's input columns, a sample.
Out:   Binding, then one array per input; ModelError naming input, type, shape and columns.
Never: runs the model; guesses which column was meant.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shiftwatch.errors import ModelError
from shiftwatch.sample import Column, Floats, Mask, Sample
from shiftwatch.values import Finding, SchemaColumn

Shape = tuple[int | str | None, ...]
Rows = NDArray[np.int64]
Tensors = dict[str, NDArray[Any]]

_DTYPES: dict[str, type[np.generic]] = {
    "float16": np.float16,
    "float": np.float32,
    "double": np.float64,
    "int8": np.int8,
    "int16": np.int16,
    "int32": np.int32,
    "int64": np.int64,
    "uint8": np.uint8,
    "uint16": np.uint16,
    "uint32": np.uint32,
    "uint64": np.uint64,
    "bool": np.bool_,
    "string": np.object_,
}
"""Element types that can be fed, by the name in ``tensor(...)``."""

_NAMES_SHOWN = 30


@dataclass(frozen=True, slots=True)
class ModelInput:
    """An input as the model declares it.

    ``shape`` has a number for a fixed dimension, a name or None for a free one.
    """

    name: str
    type: str
    shape: Shape

    def __str__(self) -> str:
        return f"input {self.name!r}, {declared(self.type, self.shape)}"

    @property
    def element(self) -> str:
        """Element type, such as ``float``; empty if the input is no tensor."""
        return self.type[7:-1] if self.type.startswith("tensor(") else ""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The numpy type to feed."""
        return np.dtype(_DTYPES[self.element])

    @property
    def width(self) -> int | None:
        """Columns it takes in a row; None if the model leaves that open."""
        if len(self.shape) < 2:
            return 1
        return self.shape[1] if isinstance(self.shape[1], int) else None

    @property
    def takes_nulls(self) -> bool:
        """Whether a row with a null can be fed: as NaN or as an empty text."""
        return self.dtype.kind in ("f", "O")


def declared(type_: str, shape: Shape) -> str:
    """Type and shape as messages show them.

    Examples
    --------
    >>> declared("tensor(float)", (None, "rows", 3))
    'tensor(float) [?, rows, 3]'
    """
    return f"{type_} [{', '.join('?' if size is None else str(size) for size in shape)}]"


@dataclass(frozen=True, slots=True)
class Feed:
    """Which columns fill one input, in order."""

    input: ModelInput
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Binding:
    """How the reference's columns feed the model; ``by_row`` where its batch is fixed at 1."""

    feeds: tuple[Feed, ...]
    by_row: bool


def wanted(inputs: Sequence[ModelInput], schema: Sequence[SchemaColumn]) -> tuple[str, ...] | None:
    """Columns asked for by name, or None where one tensor takes all features in order.

    Raises
    ------
    ModelError
        If an input cannot be fed, or no column matches it. ``where`` is left to the caller.
    """
    if not _by_name(inputs, schema):
        return None
    _refuse_unfeedable(inputs, schema)
    matched = [_match(entry, schema).name for entry in inputs]
    return tuple(dict.fromkeys(matched))


def bind(inputs: Sequence[ModelInput], features: Sequence[SchemaColumn]) -> Binding:
    """Decide which column feeds which input; see :meth:`OnnxModel.bind`."""
    _refuse_unfeedable(inputs, features)
    if _by_name(inputs, features):
        feeds = tuple(_named_feed(entry, features) for entry in inputs)
    else:
        feeds = (_tensor_feed(inputs[0], features),)
    return Binding(feeds, any(entry.shape[0] == 1 for entry in inputs))


def _by_name(inputs: Sequence[ModelInput], schema: Sequence[SchemaColumn]) -> bool:
    """Several inputs are matched by name; a single one only if it is one column's namesake."""
    if len(inputs) > 1:
        return True
    return inputs[0].width == 1 and bool(_namesakes(inputs[0].name, schema))


def _namesakes(name: str, schema: Sequence[SchemaColumn]) -> list[SchemaColumn]:
    exact = [column for column in schema if column.name == name]
    folded = [column for column in schema if column.name.casefold() == name.casefold()]
    return exact or folded


def _match(entry: ModelInput, schema: Sequence[SchemaColumn]) -> SchemaColumn:
    found = _namesakes(entry.name, schema)
    if not found:
        raise _refusal(
            entry, "matches no column", schema, hint="an input takes the column of its name"
        )
    if len(found) > 1:
        names = ", ".join(column.name for column in found)
        raise _refusal(entry, f"could be any of {names}", schema, hint="rename one of them")
    return found[0]


def _refuse_unfeedable(inputs: Sequence[ModelInput], schema: Sequence[SchemaColumn]) -> None:
    for entry in inputs:
        problem, hint = _problem(entry, alone=len(inputs) == 1)
        if problem:
            raise _refusal(entry, problem, schema, hint=hint)


def _problem(entry: ModelInput, *, alone: bool) -> tuple[str, str]:
    """What is wrong with an input whatever the columns are, and what to do; empty if nothing."""
    batch = entry.shape[0] if entry.shape else 0
    if entry.element not in _DTYPES:
        return "is of a type that columns cannot fill", "feed numbers, booleans or texts"
    if isinstance(batch, int) and batch != 1:
        fixed = f": its first dimension is fixed at {batch}" if entry.shape else ""
        return f"has no batch axis{fixed}", "export the model with a free first dimension"
    if len(entry.shape) > 2:
        return (
            f"has {len(entry.shape)} dimensions, and rows of a table fill at most 2",
            "watch the model's tabular features or embeddings instead",
        )
    if not alone and entry.width not in (1, None):
        return (
            f"takes {entry.width} columns, but beside other inputs it can take only one",
            "export one input per column, or a single tensor",
        )
    return "", ""


def _named_feed(entry: ModelInput, features: Sequence[SchemaColumn]) -> Feed:
    column = _match(entry, features)
    if not _fits(entry, column):
        raise _refusal(
            entry,
            f"cannot take column {column.name!r}, which is {column.kind} ({column.type})",
            features,
            hint="the column must have the type the model was trained on",
        )
    return Feed(entry, (column.name,))


def _tensor_feed(entry: ModelInput, features: Sequence[SchemaColumn]) -> Feed:
    unfit = [column for column in features if not _fits(entry, column)]
    if unfit:
        names = ", ".join(column.name for column in unfit)
        kinds = ", ".join(f"{column.name!r} ({column.type})" for column in unfit)
        raise _refusal(
            entry,
            f"cannot take {kinds}",
            features,
            hint=f"if the model does not use them: `features: {{exclude: [{names}]}}`",
        )
    if entry.width not in (None, len(features)):
        raise _refusal(
            entry,
            f"takes {entry.width} columns a row and there are {len(features)}",
            features,
            hint="name the model's columns in its order with `features: {include: [...]}`",
        )
    return Feed(entry, tuple(column.name for column in features))


def _fits(entry: ModelInput, column: SchemaColumn | Column) -> bool:
    """Texts fill text inputs, numbers and booleans the others.

    Integers that were declared categorical are still numbers.
    """
    if entry.element == "string":
        return column.kind == "categorical" and "bool" not in column.type
    if column.kind == "categorical":
        return "bool" in column.type or "int" in column.type.split("indices=")[0]
    return column.kind == "numeric"


def _refusal(
    entry: ModelInput, problem: str, columns: Sequence[SchemaColumn], hint: str
) -> ModelError:
    names = [column.name for column in columns]
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    there = ", ".join(names[:_NAMES_SHOWN]) + more
    return ModelError(f"{entry}, {problem}; the columns there are: {there or 'none'}", hint=hint)


def chosen(binding: Binding, sample: Sample) -> dict[str, Column]:
    """The columns of a sample that the binding feeds, checked against it, by name."""
    present = {column.name: column for column in sample.columns}
    return {
        name: _checked(feed.input, present.get(name), name)
        for feed in binding.feeds
        for name in feed.columns
    }


def _checked(entry: ModelInput, column: Column | None, name: str) -> Column:
    if column is None:
        raise ModelError(f"{entry}, needs column {name!r}, which the batch lacks")
    if column.valid.any() and not _fits(entry, column):
        raise ModelError(
            f"{entry}, cannot take column {name!r}, which is {column.kind} ({column.type})"
        )
    return column


def scorable(
    binding: Binding, columns: Mapping[str, Column], total: int
) -> tuple[Rows, tuple[Finding, ...]]:
    """Rows out of ``total`` that can be fed, and a finding for each column that kept others out.

    A null goes into a float input as NaN and into a text input as the empty text, which is how
    imputers and encoders expect it. Integer and boolean inputs have no such value, so rows with a
    null there, or with a number that the type cannot hold, are left out.
    """
    fine: Mask = np.ones(total, dtype=np.bool_)
    findings: list[Finding] = []
    for entry, name in _strict(binding):
        holds = _holds(entry.dtype, numbers(entry, columns[name]))
        fine &= holds
        if lost := int(np.count_nonzero(~holds)):
            message = f"{lost} of {total} rows have no value that {entry.type} can hold"
            findings.append(Finding("rows_not_scored", name, message, "note"))
    return np.flatnonzero(fine), tuple(findings)


def _strict(binding: Binding) -> Iterator[tuple[ModelInput, str]]:
    for feed in binding.feeds:
        if not feed.input.takes_nulls:
            yield from ((feed.input, name) for name in feed.columns)


def _holds(dtype: np.dtype[Any], values: Floats) -> Mask:
    if dtype.kind == "b":
        return np.isin(values, (0.0, 1.0))
    limits = np.iinfo(dtype)
    # float(max) of 64 bits rounds up to one beyond, hence `<` there.
    below = values < float(limits.max) if limits.bits == 64 else values <= limits.max
    whole = np.isfinite(values) & (np.floor(values) == values)
    return np.asarray(whole & (values >= float(limits.min)) & below)


def arrays(binding: Binding, columns: Mapping[str, Column], rows: Rows) -> dict[str, NDArray[Any]]:
    """The tensors for these rows, by input name."""
    return {feed.input.name: _tensor(feed, columns, rows) for feed in binding.feeds}


def _tensor(feed: Feed, columns: Mapping[str, Column], rows: Rows) -> NDArray[Any]:
    entry = feed.input
    tensor = np.empty((rows.size, len(feed.columns)), dtype=entry.dtype)
    # A number too large for float32 becomes infinite, as it does wherever the model is served.
    with np.errstate(over="ignore"):
        for index, name in enumerate(feed.columns):
            column = columns[name].take(rows)
            tensor[:, index] = (
                _texts(column) if entry.element == "string" else numbers(entry, column)
            )
    return tensor[:, 0] if len(entry.shape) == 1 else tensor


def _texts(column: Column) -> NDArray[np.object_]:
    texts = np.array([*column.categories, ""], dtype=np.object_)
    if not column.valid.any():
        return np.full(column.rows, "", dtype=np.object_)
    return np.asarray(texts[column.values.astype(np.int64)])


def numbers(entry: ModelInput, column: Column) -> Floats:
    """Values as float64, NaN where null; booleans and categorical integers by their text."""
    if not column.valid.any():
        return np.full(column.rows, np.nan)
    if column.kind != "categorical":
        return np.where(column.valid, column.values, np.nan)
    table = [_number(entry, column, text) for text in column.categories]
    return np.asarray([*table, np.nan])[column.values.astype(np.int64)]


def _number(entry: ModelInput, column: Column, text: str) -> float:
    if text in ("true", "false"):
        return float(text == "true")
    try:
        return float(text)
    except ValueError:
        message = f"{entry}, cannot take {text!r} of column {column.name!r}"
        raise ModelError(message) from None
