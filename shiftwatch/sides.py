"""One side of a comparison, as it is asked for: batches, a stretch of time, files.

In:    an operator's words.
Out:   a Side; DataError where they make no sense.
Never: looks whether what is named is there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from shiftwatch.annotation import moment
from shiftwatch.errors import DataError
from shiftwatch.report import visible
from shiftwatch.settings.fields import duration_seconds

MOST_FILES = 200
"""Paths that a side may name, and files that may be found below them."""

_ID = re.compile(r"[0-9A-Za-z_-]{1,200}")
_FILES = "file:"


@dataclass(frozen=True, slots=True)
class Side:
    """One side: batches from the first to the last, a stretch of time, or files.

    ``first`` and ``last`` are ids, ``last`` None for the first alone. ``start`` and ``until`` are
    unix seconds (half open): batches whose events have their middle in it, or, where events have no
    time, that were judged in it.
    ``files`` are paths of files and folders below the model's batches. ``earlier`` is for the
    reference only: the other side's stretch, so many seconds before. A side of which nothing is
    said is the model's own reference, or, of the current side, the newest batch.
    """

    first: str | None = None
    last: str | None = None
    start: float | None = None
    until: float | None = None
    earlier: float | None = None
    files: tuple[str, ...] = ()

    @property
    def is_blank(self) -> bool:
        """Whether nothing is said."""
        return self == Side()

    @property
    def by_time(self) -> bool:
        """Whether it is a stretch of time."""
        return self.start is not None or self.until is not None


def checked(side: Side, *, name: str) -> Side:
    """The side, if it says one thing only, and says all of it.

    Raises
    ------
    DataError
        If it does not; ``name`` is what the side is called.
    """
    by_id = side.first is not None or side.last is not None
    told = [by_id, side.by_time, side.earlier is not None, bool(side.files)]
    if sum(told) > 1:
        raise DataError("say one of batches, times and files, not two of them", where=name)
    if side.last is not None and side.first is None:
        raise DataError("say which batch it begins with", where=name)
    if side.earlier is not None and (name == "current" or side.earlier <= 0):
        raise DataError("only the reference can be so much earlier", where=name)
    if len(side.files) > MOST_FILES:
        raise DataError(f"{len(side.files)} paths are too many, name {MOST_FILES}", where=name)
    for batch in (side.first, side.last):
        if batch is not None and _ID.fullmatch(batch) is None:
            raise DataError(f"no batch {visible(batch)[:60]!r} is stored", where=name)
    return side


def side_of(text: str) -> Side:
    """A side as it is written on a command line.

    Parameters
    ----------
    text
        ``ID``, ``ID..ID``, ``TIME..TIME`` (ISO 8601 in UTC, with a ``-`` or ``:`` in it), a duration
        such as ``7d`` (the other side's time, so much earlier), ``last-week``, ``file:PATH`` (a file
        or folder below the batches; several are parted by commas), or ``reference``.

    Raises
    ------
    DataError
        If it is none of these.

    Examples
    --------
    >>> side_of("aa..bb") == Side(first="aa", last="bb"), side_of("last-week").earlier
    (True, 604800.0)
    >>> side_of("reference").is_blank, side_of("file:day=3,x.parquet").files
    (True, ('day=3', 'x.parquet'))
    >>> side_of("1970-01-02..1970-01-03T12:00") == Side(start=86400.0, until=216000.0)
    True
    """
    if text in {"", "reference"}:
        return Side()
    if text == "last-week":
        return Side(earlier=duration_seconds("7d"))
    if text.startswith(_FILES):
        return Side(files=tuple(filter(None, text.removeprefix(_FILES).split(","))))
    first, mark, last = text.partition("..")
    if mark:
        return _ranged(text, first, last)
    try:
        return Side(earlier=duration_seconds(text))
    except ValueError:
        return Side(first=_id(text, text))


def spanned(first: str | None, last: str | None, files: Sequence[str] = ()) -> Side:
    """The current side of a command line: ids or times in two options, or files; see `checked`.

    Examples
    --------
    >>> spanned("aa", None) == Side(first="aa"), spanned(None, None, ["x"]) == Side(files=("x",))
    (True, True)
    >>> spanned("1970-01-02", None) == Side(start=86400.0)
    True
    """
    times = [text is None or _is_time(text) for text in (first, last)]
    if all(times) and (first or last):
        start, until = (None if text is None else moment(text, 0.0) for text in (first, last))
        return Side(start=start, until=until, files=tuple(files))
    return Side(first=first, last=last, files=tuple(files))


def _ranged(text: str, first: str, last: str) -> Side:
    if _is_time(first) and _is_time(last):
        return Side(start=moment(first, 0.0), until=moment(last, 0.0))
    return Side(first=_id(first, text), last=_id(last, text))


def _is_time(text: str) -> bool:
    return re.fullmatch(r"\d{4}-\d\d-\d\d.*", text) is not None


def _id(text: str, whole: str) -> str:
    if _ID.fullmatch(text) is None:
        raise DataError(
            f"{visible(whole)[:60]!r} is no side",
            hint="write ID, ID..ID, TIME..TIME, 7d, last-week, file:PATH or reference",
        )
    return text
