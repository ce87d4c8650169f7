"""Columns of joined records: one row for each row of a request's tensors.

In:    tensors of a request and of its response, names for columns of tensors that have none.
Out:   columns of plain values, all of one length.
Never: reorders rows; fills a value in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from shiftwatch.payload.bodies import MalformedError, Tensor, Value

Columns = Mapping[str, Sequence[Value]]

INPUT, OUTPUT = "input", "prediction"
"""Names of tensors that have none: v1 instances, and v1 predictions."""


def columns_of(
    tensors: Sequence[Tensor], unnamed: str = INPUT, names: Sequence[str] = ()
) -> tuple[int, dict[str, Sequence[Value]]]:
    """Rows of a body, and its columns.

    Parameters
    ----------
    tensors
        Each with its rows first.
    unnamed
        Name of a tensor without one.
    names
        Names of columns in the order of the tensors, if there are as many as columns; else a column
        is called by its tensor, and by ``TENSOR_0``, ``TENSOR_1`` ... where that has several.

    Raises
    ------
    MalformedError
        If the tensors have different numbers of rows, if no row has a value, or if two columns
        have one name.

    Examples
    --------
    >>> pair = Tensor("", (2, 2), (1, 2, 3, 4))
    >>> columns_of([pair])
    (2, {'input_0': (1, 3), 'input_1': (2, 4)})
    >>> columns_of([pair], names=("age", "income"))[1]
    {'age': (1, 3), 'income': (2, 4)}
    """
    rows = tensors[0].shape[0]
    columns: list[tuple[str, Sequence[Value]]] = []
    for tensor in tensors:
        if tensor.shape[0] != rows:
            raise MalformedError("bad_rows")
        columns += _columns(tensor, tensor.name or unnamed)
    if rows and not columns:  # a shape alone could claim any number of them
        raise MalformedError("bad_rows")
    if len(names) == len(columns):
        columns = [(name, values) for name, (_, values) in zip(names, columns, strict=True)]
    told = dict(columns)
    if len(told) < len(columns):
        raise MalformedError("bad_tensor")
    return rows, told


def _columns(tensor: Tensor, name: str) -> list[tuple[str, Sequence[Value]]]:
    rows = tensor.shape[0]
    width = len(tensor.values) // rows if rows else 1
    if width == 1:
        return [(name, tuple(tensor.values))]
    return [(f"{name}_{index}", tuple(tensor.values[index::width])) for index in range(width)]


def beside(inputs: Columns, outputs: Columns) -> dict[str, Sequence[Value]]:
    """Columns of a request and of its response; an output of the name of an input is told apart.

    Examples
    --------
    >>> beside({"x": (1,)}, {"x": (2,), "y": (3,)})
    {'x': (1,), 'prediction_x': (2,), 'y': (3,)}
    """
    told = dict(inputs)
    for name, values in outputs.items():
        free = name
        while free in told or (free != name and free in outputs):
            free = f"{OUTPUT}_{free}"
        told[free] = values
    return told
