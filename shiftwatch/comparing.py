"""`shiftwatch.compare()` and `shiftwatch.prepare()`: two tables or files, from Python.

In:    paths, Arrow tables, or anything that offers itself as an Arrow stream.
Out:   a Report.
Never: shares memory or threads with the tests: they run in a process of their own, within limits,
       exactly as in the daemon, so the numbers are the same.

A table is handed over as a Parquet file in a temporary folder, which is gone with the report's
maker. Measured with 100 000 v 10 000 rows of 50 columns on two cores: writing both takes 9 % of the
whole; a second batch against a prepared reference takes a fraction of the first, see
``tests/test_comparing.py``.
"""

from __future__ import annotations

import json
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from html import escape
from os import PathLike, fspath
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from shiftwatch.contrast import Prepared
from shiftwatch.document import from_document, to_document
from shiftwatch.errors import ConfigError, DataError
from shiftwatch.report import csv_table, markdown, render_html, table
from shiftwatch.requests import Context
from shiftwatch.settings import (
    AlarmSettings,
    LimitSettings,
    ModelSettings,
    TestsSettings,
    ToleranceSettings,
)
from shiftwatch.settings.fields import FieldError
from shiftwatch.settings.tests import (
    ChiSquareSettings,
    ClassifierSettings,
    DistinctSettings,
    KsSettings,
    MmdSettings,
    NullsSettings,
    UnseenSettings,
)
from shiftwatch.values import Run
from shiftwatch.worker import Worker

Data = str | PathLike[str] | object
"""A path of a Parquet file or a folder of them, or a table."""

Tests = Sequence[str] | Mapping[str, Mapping[str, Any]]
Tolerance = float | Mapping[str, Any]

_TESTS: Mapping[str, Any] = {
    "ks": KsSettings,
    "chi2": ChiSquareSettings,
    "mmd": MmdSettings,
    "c2st": ClassifierSettings,
    "nulls": NullsSettings,
    "unseen": UnseenSettings,
    "distinct": DistinctSettings,
}


class Report:
    """What a comparison found: the fields of the JSON report as attributes.

    Its truth value is refused, as ``if report:`` could mean either of two things; ask
    ``report.alarm`` whether there is a shift, and ``report.state`` for the whole answer, which is
    one of ``shift``, ``no_shift``, ``insufficient_data``, ``invalid_data`` and ``error``.

    Examples
    --------
    >>> report = Report.from_dict(_example())
    >>> report.state, report.alarm, report.batch["rows"]
    ('no_shift', False, 100)
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._document = to_document(run)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """A report read again; DataError if it is none."""
        return cls(from_document(document))

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """A report read again, such as the daemon's; DataError if it is none."""
        try:
            document = json.loads(text)
        except ValueError as fault:
            raise DataError(f"is not JSON: {fault}", where="report") from fault
        if not isinstance(document, dict):
            raise DataError("is no report: a report is a JSON object", where="report")
        return cls.from_dict(document)

    def __getattr__(self, name: str) -> Any:
        """A field of the report."""
        if not name.startswith("_") and name in self._document:
            return self._document[name]
        known = ", ".join(self._document)
        raise AttributeError(f"a report has no field {name!r}; it has {known}")

    def __dir__(self) -> list[str]:
        """Fields and methods, for completion."""
        return sorted({*super().__dir__(), *self._document})

    def __bool__(self) -> bool:
        """Refused; see the class."""
        raise TypeError("ask report.alarm whether there is a shift, or report.state")

    def __repr__(self) -> str:
        """The report as a table of text."""
        return table(self._run)

    def __eq__(self, other: object) -> bool:
        """Whether both say the same."""
        return isinstance(other, Report) and self._document == other._document

    __hash__ = None  # type: ignore[assignment] # equal reports need not be one

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON values, by the schema ``shiftwatch/schemas/report-1.json``."""
        copied: dict[str, Any] = json.loads(self.to_json())
        return copied

    def to_json(self, indent: int | None = None) -> str:
        """The report as JSON text."""
        return json.dumps(self._document, indent=indent, ensure_ascii=False)

    def to_html(self) -> str:
        """The report as a page that needs nothing else."""
        return render_html(self._run)

    def to_markdown(self) -> str:
        """The report as Markdown, for a ticket or a pull request."""
        return markdown(self._run)

    def to_csv(self) -> str:
        """The results as CSV, a line for each test of each column."""
        return csv_table(self._run)

    def _repr_html_(self) -> str:
        """The page inside a frame of its own, whose styles touch no notebook's."""
        page = escape(self.to_html())
        frame = 'width="100%" height="720" style="border:0" title="Drift report"'
        return f'<iframe sandbox {frame} srcdoc="{page}"></iframe>'


class Reference:
    """A reference that was prepared once, for as many comparisons as come.

    To be closed, or used in a ``with`` statement; it closes itself when nobody holds it any more.
    Of one comparison at a time.
    """

    def __init__(self, context: Context, name: str, folder: Any) -> None:
        self.name = name
        self._worker = Worker(context.limits)
        self._folder = folder
        self._end = weakref.finalize(self, _end, self._worker, folder)
        try:
            self._prepared = Prepared.of(self._worker, context)
        except BaseException:
            self.close()
            raise

    @property
    def rows(self) -> int:
        """Rows of the reference."""
        return self._prepared.rows

    def compare(self, current: Data) -> Report:
        """Hold data against it; see :func:`shiftwatch.compare`."""
        if not self._end.alive:
            raise DataError("the prepared reference is closed", hint="prepare it again")
        path, name = _handed(current, Path(self._folder.name) / "current", "current")
        run = self._prepared.compare(path, "" if path == name else name)
        told = {"reference": self.name, "current": name}
        return Report(replace(run, explanation={**run.explanation, "comparison": told}))

    def close(self) -> None:
        """End its process and remove its files."""
        self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        """Its name and size."""
        return f"<reference {self.name}, {self.rows:,} rows>"


def _end(worker: Worker, folder: Any) -> None:
    worker.close()
    folder.cleanup()


def prepare(reference: Data, options: Mapping[str, Any]) -> Reference:
    """Prepare a reference; the options are those of :func:`shiftwatch.compare`."""
    settings, seed = _settings(options)
    folder = tempfile.TemporaryDirectory(prefix="shiftwatch-")
    try:
        path, name = _handed(reference, Path(folder.name) / "reference", "reference")
        own = replace(settings, reference=path)
        cache = str(Path(folder.name) / "prepared")
        context = Context(own, AlarmSettings(), seed, cache, "", LimitSettings())
        return Reference(context, name, folder)
    except BaseException:
        folder.cleanup()
        raise


def compare(reference: Data, current: Data, options: Mapping[str, Any]) -> Report:
    """Hold data against a reference, which may be prepared; see :func:`shiftwatch.compare`."""
    if isinstance(reference, Reference):
        given = [name for name, value in options.items() if value not in (None, 0)]
        if given:
            raise ConfigError(
                f"`{given[0]}` belongs to the reference, which is prepared already",
                hint=f"give it to shiftwatch.prepare(reference, {given[0]}=...)",
            )
        return reference.compare(current)
    with prepare(reference, options) as prepared:
        return prepared.compare(current)


def _handed(data: Data, folder: Path, side: str) -> tuple[str, str]:
    """Where the worker finds the data, and what they are called."""
    if isinstance(data, str | PathLike):
        path = fspath(data)
        return path, path
    from shiftwatch.source.tables import write_table  # noqa: PLC0415 - loads pyarrow

    folder.mkdir(exist_ok=True)
    target = folder / f"{side}.parquet"
    kind = f"{type(data).__module__.partition('.')[0]}.{type(data).__name__}"
    try:
        rows = write_table(data, target)
    except DataError as fault:
        raise DataError(fault.what, where=side, hint=fault.hint) from fault
    return str(target), f"{kind} of {rows:,} rows"


def _settings(options: Mapping[str, Any]) -> tuple[ModelSettings, int]:
    known = dict.fromkeys(("model", "tests", "categorical", "tolerance", "seed")) | dict(options)
    model = known["model"]
    settings = ModelSettings(
        name="compare",
        reference="",
        batches="",
        model=None if model is None else fspath(model),
        categorical=tuple(known["categorical"] or ()),
        tests=tests_of(known["tests"]),
        tolerance=tolerance_of(known["tolerance"]),
    )
    return settings, int(known["seed"] or 0)


def tests_of(named: Tests | None) -> TestsSettings:
    """Which tests run; ConfigError if one is unknown, or a parameter is wrong."""
    if named is None:
        return TestsSettings.all()
    if isinstance(named, str):
        raise ConfigError(f"`tests` is a list of names: tests=[{named!r}]")
    given = named if isinstance(named, Mapping) else {key: {} for key in named}
    for name in given:
        if name not in _TESTS:
            raise ConfigError(f"no test is called {name!r}; there are {', '.join(_TESTS)}")
    chosen = {name: _made(name, _TESTS[name], given[name]) for name in given}
    off = dict.fromkeys((name for name in _TESTS if name not in given), None)
    return TestsSettings(**{**off, **chosen})


def _made(name: str, kind: Any, parameters: Mapping[str, Any] | None) -> Any:
    known = {item.name for item in fields(kind)}
    for parameter in parameters or {}:
        if parameter not in known:
            there = ", ".join(sorted(known)) or "none"
            raise ConfigError(f"{name} has no parameter {parameter!r}; it has {there}")
    try:
        return kind(**(parameters or {}))
    except FieldError as fault:
        raise ConfigError(f"{name}.{fault.field}: {fault.message}") from fault


def tolerance_of(given: Tolerance | None) -> ToleranceSettings:
    """The smallest shift that matters; ConfigError if it is no effect size."""
    if given is None:
        return ToleranceSettings()
    told = given if isinstance(given, Mapping) else {"default": given}
    known = {item.name for item in fields(ToleranceSettings)}
    by_name = {key: value for key, value in told.items() if key not in known}
    by_test = {key: value for key, value in by_name.items() if key in _TESTS}
    by_column = {key: value for key, value in by_name.items() if key not in _TESTS}
    own: dict[str, Any] = {"tests": by_test, "columns": by_column}
    own |= {key: value for key, value in told.items() if key in known}
    try:
        return ToleranceSettings(**own)
    except FieldError as fault:
        raise ConfigError(f"tolerance.{fault.field}: {fault.message}") from fault


def _example() -> dict[str, Any]:
    from shiftwatch.values import Batch, Piece  # noqa: PLC0415 - for the example alone

    batch = Batch("7d", (Piece("a.parquet", 10, "0" * 64, 0, 100),), 100)
    return to_document(Run("compare", batch, "no_shift", 0.0))
