"""The columns of a file held against those of the reference.

In:    Arrow schemas, partition folders in paths, the reference's schema.
Out:   SchemaColumn; Match (which column is where) and findings.
Never: reads rows.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from urllib.parse import unquote

import pyarrow as pa

from shiftwatch.errors import DataError
from shiftwatch.places import is_remote
from shiftwatch.source.columns import comparable, kind_of
from shiftwatch.values import Finding, SchemaColumn

TESTED = ("input", "prediction")
"""Roles whose columns are read."""

_MOST_EXTRA = 100
"""Columns that are not in the reference, each named."""

_HIDDEN = re.compile(r"__index_level_\d+__")

_NO_PARTITION = "__HIVE_DEFAULT_PARTITION__"


def partitions(uri: str, root: str | None) -> dict[str, str | None]:
    """Columns that ``key=value`` folders of a path add; the file's own columns go before them.

    Parameters
    ----------
    uri
        Path of a file.
    root
        Only folders below this one count; None lets every folder of the path count. A path that
        does not begin with it is held against it with the links of both resolved.

    Examples
    --------
    >>> partitions("data/day=3/plan=a%2Fb/x.parquet", "data")
    {'day': '3', 'plan': 'a/b'}
    """
    folder = PurePath(uri).parent
    if root is not None:
        if not folder.is_relative_to(root) and not is_remote(uri):
            folder, root = PurePath(os.path.realpath(folder)), os.path.realpath(root)
        folder = folder.relative_to(root) if folder.is_relative_to(root) else PurePath()
    pairs = (part.split("=", 1) for part in folder.parts if "=" in part)
    return {
        unquote(key): None if value == _NO_PARTITION else unquote(value) for key, value in pairs
    }


def schema_of(
    schema: pa.Schema,
    categorical: Collection[str],
    folders: Iterable[str] = (),
    where: str = "",
) -> tuple[SchemaColumn, ...]:
    """Columns of an Arrow schema, and after them those of partition folders; all are inputs.

    A hidden index of pandas is none of them.

    Raises
    ------
    DataError
        If two columns have one name.
    """
    refuse_duplicates(schema, where)
    own = [
        SchemaColumn(f.name, kind_of(f.type, f.name, categorical), "input", str(f.type))
        for f in schema
        if not hidden(f.name)
    ]
    added = [name for name in folders if name not in schema.names]
    return (*own, *(SchemaColumn(name, "categorical", "input", "string") for name in added))


def hidden(name: str) -> bool:
    """Whether a column is an index without a name that pandas has written beside the columns.

    It counts the rows of the frame they were taken from, and says nothing of what they hold.

    Examples
    --------
    >>> hidden("__index_level_0__"), hidden("index")
    (True, False)
    """
    return _HIDDEN.fullmatch(name) is not None


def refuse_duplicates(schema: pa.Schema, where: str) -> None:
    """Raise DataError naming the columns that occur twice: no one can tell which is meant."""
    twice = doubled(schema)
    if twice:
        raise DataError(
            "more than one column is named " + ", ".join(map(repr, twice)),
            where=where,
            hint="give every column a name of its own",
        )


def doubled(schema: pa.Schema) -> list[str]:
    """Names that more than one column has.

    Examples
    --------
    >>> doubled(pa.schema([("x", pa.int8()), ("y", pa.int8()), ("x", pa.int8())]))
    ['x']
    """
    return [name for name, count in Counter(schema.names).items() if count > 1]


def types_of(schema: pa.Schema) -> dict[str, pa.DataType | None]:
    """Types by name; None for a name that more than one column has."""
    types: dict[str, pa.DataType | None] = {field.name: field.type for field in schema}
    return types | dict.fromkeys(doubled(schema))


@dataclass(frozen=True, slots=True)
class Match:
    """Where the tested columns of the reference are in one file.

    ``columns`` pairs a column of the reference with the name in the file.
    """

    columns: tuple[tuple[SchemaColumn, str], ...]
    findings: tuple[Finding, ...]


def match(types: Mapping[str, pa.DataType | None], schema: Sequence[SchemaColumn]) -> Match:
    """Find the tested columns of the reference by name, else by name without regard to case.

    Parameters
    ----------
    types
        Arrow types by name in the file, see :func:`types_of`, partition folders included as strings.
    schema
        All columns of the reference, whatever their role.

    Returns
    -------
    Match
        Findings ``missing_column``, ``changed_type`` and ``duplicate_column`` (invalid),
        ``renamed_by_case`` and ``extra_column`` (notes; only for names the reference does not have
        in any role; of more than a hundred, the others are counted).
    """
    names = find_names(types, [column.name for column in schema])
    usable: list[tuple[SchemaColumn, str]] = []
    findings: list[Finding] = []
    for column in schema:
        if column.role in TESTED:
            found = _judged(column, names.get(column.name), types)
            findings.extend(found)
            if not any(finding.severity == "invalid" for finding in found):
                usable.append((column, names[column.name]))
    known = frozenset(names.values())
    extra = [name for name in types if name not in known and not hidden(name)]
    findings.extend(_extra(extra))
    return Match(tuple(usable), tuple(findings))


def _extra(names: Sequence[str]) -> Iterator[Finding]:
    """A note for each, up to a number: a file may have any number of columns, a run may not."""
    for name in names[:_MOST_EXTRA]:
        yield Finding("extra_column", name, f"column {name!r} is not in the reference", "note")
    left = len(names) - _MOST_EXTRA
    if left > 0:
        yield Finding("extra_column", "", f"{left} more columns are not in the reference", "note")


def find_names(present: Collection[str], wanted: Collection[str]) -> dict[str, str]:
    """The name in the file for each wanted name that can be found without doubt.

    Examples
    --------
    >>> find_names(["Age", "x", "X"], ["age", "x", "y"])
    {'x': 'x', 'age': 'Age'}
    """
    exact = {name: name for name in wanted if name in present}
    left = [name for name in present if name not in exact]
    sought = Counter(name.casefold() for name in wanted if name not in exact)
    offered = Counter(name.casefold() for name in left)
    by_case = {name.casefold(): name for name in left}
    for name in wanted:
        folded = name.casefold()
        if name not in exact and sought[folded] == 1 and offered[folded] == 1:
            exact[name] = by_case[folded]
    return exact


def _judged(
    column: SchemaColumn, found: str | None, types: Mapping[str, pa.DataType | None]
) -> list[Finding]:
    if found is None:
        return [Finding("missing_column", column.name, f"no column {column.name!r}", "invalid")]
    type_ = types[found]
    if type_ is None:
        text = f"more than one column is named {found!r}, and no one can tell which is meant"
        return [Finding("duplicate_column", column.name, text, "invalid")]
    if not comparable(type_, column):
        before, here = _short(column.type), _short(str(type_))
        return [changed_type(column, f"{before} in the reference, {here} here")]
    if found != column.name:
        text = f"column {column.name!r} is read from {found!r}"
        return [Finding("renamed_by_case", column.name, text, "note")]
    return []


def _short(type_text: str) -> str:
    """A type in words that fit a message: that of a nested column has no end."""
    longest = 80
    return type_text if len(type_text) <= longest else type_text[:longest] + "..."


def changed_type(column: SchemaColumn, what: str) -> Finding:
    """The finding for a column whose values cannot be compared."""
    return Finding("changed_type", column.name, f"column {column.name!r} is {what}", "invalid")
