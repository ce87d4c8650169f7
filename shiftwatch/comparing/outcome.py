"""The report that `shiftwatch.compare()` answers with, and that `read_report` reads again.

In:    a Run, or a report as JSON.
Out:   Report: its fields as attributes, and itself in every format.
Never: computes a number; loads what only the tests need.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from typing import Any, Self

from shiftwatch.document import from_document, to_document
from shiftwatch.errors import DataError
from shiftwatch.report import csv_table, markdown, render_html, table
from shiftwatch.values import Run, Verdict


class Report:
    """What a comparison found: the fields of the JSON report as attributes.

    ``state`` is the whole answer: ``shift``, ``no_shift``, ``insufficient_data``, ``invalid_data``
    or ``error``; ``alarm`` is whether something must be looked at. A report has no truth value, as
    ``if report:`` could ask for either.

    Printed it is a table; as the last value of a notebook's cell it is the page. It can be copied,
    pickled, and compared for equality.

    Examples
    --------
    >>> report = Report.from_json('''{
    ...     "schema_version": 1, "model": "compare", "state": "insufficient_data", "alarm": false,
    ...     "batch": {"id": "7d", "uri": "a.parquet", "rows": 5, "pieces": [],
    ...               "event_time_start": null, "event_time_end": null},
    ...     "judged_at": "2026-11-03T14:00:00Z"}''')
    >>> report.state, report.alarm, report.batch["rows"]
    ('insufficient_data', False, 5)
    """

    schema_version: int
    model: str
    batch: dict[str, Any]
    state: Verdict
    alarm: bool
    judged_at: str
    scopes: dict[str, dict[str, Any]]
    results: list[dict[str, Any]]
    columns: list[dict[str, Any]]
    reasons: list[str]
    findings: list[dict[str, Any]]
    explanation: dict[str, Any]
    provenance: dict[str, Any]
    cost: dict[str, Any]

    def __init__(self, run: Run) -> None:
        self._run = run
        self._document = to_document(run)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """A report read again.

        Raises
        ------
        DataError
            If it is none.
        """
        return cls(from_document(document))

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """A report read again, such as the daemon's: its page is the same as it was.

        Raises
        ------
        DataError
            If it is none.
        """
        try:
            document = json.loads(text)
        except ValueError as fault:
            raise DataError(f"is not JSON: {fault}", where="report") from fault
        if not isinstance(document, dict):
            raise DataError("is no report: a report is a JSON object", where="report")
        return cls.from_dict(document)

    def __getattr__(self, name: str) -> Any:
        """A field of the report."""
        if name.startswith("_"):  # of a copy that has no document yet, too
            raise AttributeError(name)
        if name in self._document:
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

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as its document, which outlives a release."""
        return type(self).from_dict, (self.to_dict(),)

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
