"""Where a worker finds what somebody wants compared: as it lies, or as a file written for it.

In:    a path, an address, a list of paths, or a table; a folder for what must be written.
Out:   Handed: a path, and a name for people.
Never: loads pyarrow for a path; changes a file.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from shiftwatch.errors import DataError
from shiftwatch.places import is_remote
from shiftwatch.source.listing import list_folder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class ArrowStream(Protocol):
    """A data frame of pandas 2.2 or later or of polars, a ``pyarrow.Table``, a DuckDB relation."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """A capsule with the stream."""


Where: TypeAlias = str | PathLike[str]

Data: TypeAlias = "Where | Sequence[Where] | ArrowStream | Mapping[str, Any] | NDArray[np.void]"
"""A path, an address, several paths, a table, columns by name, or an array of records."""


@dataclass(frozen=True, slots=True)
class Handed:
    """One side of a comparison. ``name`` is empty where the path says it."""

    path: str
    name: str = ""

    @property
    def called(self) -> str:
        """A name for people."""
        return self.name or self.path

    def written(self, path: str) -> bool:
        """Whether a path is that of a file that was written for it, which tells nobody anything."""
        return bool(self.name) and path == self.path


def handed(data: Data, folder: Path, side: str) -> Handed:
    """One side, ready for a worker.

    Parameters
    ----------
    data
        See :func:`shiftwatch.compare`.
    folder
        For what must be written; emptied first.
    side
        ``reference`` or ``current``, for messages.

    Raises
    ------
    DataError
        If it is no table, no path, or cannot be written.
    """
    if isinstance(data, str | PathLike):
        return Handed(_text(data, side))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    if isinstance(data, list | tuple) and data and all(isinstance(p, str | PathLike) for p in data):
        return _together([_text(path, side) for path in data], folder, side)
    from shiftwatch.source.tables import write_table  # noqa: PLC0415 - loads pyarrow

    target = folder / "table.parquet"
    try:
        rows = write_table(data, target)
    except DataError as fault:
        raise DataError(fault.what, where=side, hint=fault.hint) from fault
    kind = f"{type(data).__module__.partition('.')[0]}.{type(data).__qualname__}"
    return Handed(str(target), f"{kind.removeprefix('builtins.')} of {rows:,} rows")


def _text(path: str | PathLike[str], side: str) -> str:
    text: object = fspath(path)
    if not isinstance(text, str) or not text:
        raise DataError(f"{path!r} is no path", where=side, hint="give the path of a Parquet file")
    return text


def _together(paths: Sequence[str], folder: Path, side: str) -> Handed:
    """Files of several paths as one folder, in this order: linked, or copied where that fails."""
    remote = [path for path in paths if is_remote(path)]
    if remote:
        raise DataError(
            "addresses of objects cannot be put together", where=side, hint="give their prefix"
        )
    for number, file in enumerate(_files(paths)):
        target = folder / f"{number:06d}-{Path(file).name}"
        try:
            os.link(file, target)
        except OSError:  # another file system, or a file of another user
            shutil.copyfile(file, target)
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return Handed(str(folder), paths[0] + more)


def _files(paths: Sequence[str]) -> Iterator[str]:
    for path in paths:
        files = list_folder(path, complete=True)
        if not files:
            raise DataError("no Parquet file found", where=path)
        yield from (file.uri for file in files)
