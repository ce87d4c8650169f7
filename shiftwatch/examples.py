"""Rows of a batch that are the least like the reference, for a report that may show rows.

In:    a sample, and what the joint tests say of it.
Out:   JSON: columns, rows of texts, and why these.
Never: is asked where the configuration does not allow rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shiftwatch.sample import Column, Sample
from shiftwatch.values import Scope, TwoSampleResult

MOST_ROWS = 10
MOST_COLUMNS = 12
_WIDTH = 60
_JOINT_TESTS = ("c2st", "mmd")


def example_rows(
    sample: Sample, results: Sequence[TwoSampleResult], contributing: Sequence[str], scope: Scope
) -> dict[str, Any]:
    """Up to ten rows by the strongest joint test of a scope; empty where none ran.

    Parameters
    ----------
    sample
        The batch as it was tested.
    results
        Of all tests; the joint ones name rows by their position under ``appeared``.
    contributing
        Columns by their part in what differs, which come first.
    scope
        Whose columns are shown.

    Examples
    --------
    >>> from shiftwatch.sample import numeric
    >>> joint = TwoSampleResult("c2st", "*", "input", 1., .01, .5, None, None, 9, 2, {"appeared": [1]})
    >>> example_rows(Sample(2, (numeric("age", [31.0, 99.5]),)), [joint], [], "input")["rows"]
    [['99.5']]
    """
    joint = [r for r in results if r.scope == scope and r.target == "*" and r.test in _JOINT_TESTS]
    if not joint:
        return {}
    told = min(joint, key=lambda r: r.p_value)
    places = [p for p in told.explanation.get("appeared", ()) if p < sample.rows][:MOST_ROWS]
    order = {name: place for place, name in enumerate(contributing)}
    own = [column for column in sample.columns if column.role == scope and column.values.size]
    own.sort(key=lambda column: order.get(column.name, len(order)))
    columns = own[:MOST_COLUMNS]
    if not (places and columns):
        return {}
    return {
        "columns": [column.name for column in columns],
        "rows": [[_text(column, place) for column in columns] for place in places],
        "why": f"rows of the batch that are the least like the reference, by {told.test}",
    }


def _text(column: Column, place: int) -> str:
    if not column.valid[place]:
        return "null"
    value = column.values[place]
    text = column.categories[int(value)] if column.kind == "categorical" else f"{float(value):g}"
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}\N{HORIZONTAL ELLIPSIS}"
