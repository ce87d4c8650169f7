"""A run as CSV: a line for each test of each column, for a spreadsheet or a data frame.

In:    a Run.
Out:   text by RFC 4180, header first.
Never: lets a name become a formula, a second cell or a second line.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from shiftwatch.report.phrase import visible
from shiftwatch.report.ranking import JOINT, Ranked, joint, ranked
from shiftwatch.values import (
    PROFILE_QUANTILES,
    TESTED_SCOPES,
    ColumnProfile,
    Run,
    Skipped,
    TwoSampleResult,
)

_MEDIAN = PROFILE_QUANTILES.index(0.5)
_FORMULA = frozenset("=+-@")
"""What a spreadsheet takes for the beginning of a formula (OWASP, CSV injection)."""

CSV_FIELDS = (
    "model",
    "batch",
    "scope",
    "target",
    "kind",
    "moved",
    "test",
    "statistic",
    "p_value",
    "effect",
    "effect_low",
    "effect_high",
    "rows_reference",
    "rows_current",
    "skipped",
    "nulls_reference",
    "nulls_current",
    "median_reference",
    "median_current",
    "new_categories",
)
"""Names of the fields, in their order; later releases add to the end only."""
_OF_RESULTS = (
    *("scope", "target", "test", "statistic", "p_value", "effect", "effect_low", "effect_high"),
    *("rows_reference", "rows_current"),
)


def csv_table(run: Run) -> str:
    """The results of a run as CSV, the strongest evidence of each scope first.

    Parameters
    ----------
    run
        A judged batch.

    Returns
    -------
    str
        Lines end in CRLF. ``target`` is the column, or ``*`` for all columns of a scope together;
        ``moved`` is ``yes`` where the decision names the column, ``also`` on the wider list; a test
        that was not run has the reason in ``skipped`` and no numbers. Numbers have all their
        digits. Characters that cannot be seen are written as escapes, and a text that a
        spreadsheet would take for a formula begins with an apostrophe.

    Examples
    --------
    >>> from shiftwatch.values import Batch, Piece
    >>> result = TwoSampleResult("ks", "=1+1", "input", .5, .01, .5, None, None, 90, 30)
    >>> batch = Batch("7d", (Piece("a.parquet", 1, "0" * 64, 0, 30),), 30)
    >>> text = csv_table(Run("churn", batch, "no_shift", 0.0, results=(result,)))
    >>> print(text.splitlines()[1])
    churn,7d,input,'=1+1,,,ks,0.5,0.01,0.5,,,90,30,,,,,,
    """
    return "".join((",".join(CSV_FIELDS), "\r\n", *map(_line, _entries(run))))


def _entries(run: Run) -> Iterator[dict[str, Any]]:
    common = {"model": run.model, "batch": run.batch.id}
    for scope in TESTED_SCOPES:
        for result in (r for r in joint(run) if r.scope == scope):
            yield common | _result(result)
        for skip in (s for s in run.skipped if s.scope == scope and s.target == JOINT):
            yield common | _skipped(skip)
        for column in ranked(run, scope):
            about = common | {"moved": _moved(column)} | _profile(column.profile)
            yield from (about | _result(result) for result in column.results)
            yield from (about | _skipped(skip) for skip in column.skipped)


def _result(result: TwoSampleResult) -> dict[str, Any]:
    return {name: getattr(result, name) for name in _OF_RESULTS}


def _skipped(skip: Skipped) -> dict[str, Any]:
    return {
        "scope": skip.scope,
        "target": skip.target,
        "test": skip.test,
        "skipped": skip.reason,
    }


def _moved(column: Ranked) -> str:
    return "yes" if column.named else "also" if column.also else ""


def _profile(profile: ColumnProfile | None) -> dict[str, Any]:
    if profile is None:
        return {}
    return {
        "kind": profile.kind,
        "nulls_reference": profile.nulls_reference,
        "nulls_current": profile.nulls_current,
        "median_reference": _median(profile.quantiles_reference),
        "median_current": _median(profile.quantiles_current),
        "new_categories": "; ".join(profile.new_categories),
    }


def _median(quantiles: tuple[float, ...]) -> float | None:
    return quantiles[_MEDIAN] if len(quantiles) > _MEDIAN else None


def _line(entry: dict[str, Any]) -> str:
    return ",".join(_quoted(_text(entry.get(name))) for name in CSV_FIELDS) + "\r\n"


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else str(value)
    if not isinstance(value, str):
        return str(value)
    shown = visible(value)
    return f"'{shown}" if shown[:1] in _FORMULA else shown


def _quoted(text: str) -> str:
    if any(mark in text for mark in ',"\r\n') or text != text.strip():
        return '"' + text.replace('"', '""') + '"'
    return text
