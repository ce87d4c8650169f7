"""The loose JSON of a run as lists that a page can show.

In:    explanations and provenance, whose shape the tests and the worker choose.
Out:   pairs of text, cut and made visible.
Never: fails on a shape it does not know; leaves it out instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shiftwatch.report import phrase
from shiftwatch.report.details import is_number
from shiftwatch.report.phrase import cut, visible
from shiftwatch.values import Run, TwoSampleResult

_SHARES_SHOWN = 8
_ROWS_SHOWN = 10


def shares(result: TwoSampleResult) -> list[tuple[str, float]]:
    """The columns a joint test names, with their part in its statistic."""
    given = result.explanation.get("columns")
    if not isinstance(given, Sequence) or isinstance(given, str):
        return []
    found = [
        (str(entry["column"]), float(entry["share"]))
        for entry in given
        if isinstance(entry, Mapping) and "column" in entry and is_number(entry.get("share"))
    ]
    return sorted(found, key=lambda pair: -pair[1])[:_SHARES_SHOWN]


def facts(result: TwoSampleResult) -> list[tuple[str, str]]:
    """What else a test says of itself: single numbers and words."""
    return [
        (cut(visible(key)).replace("_", " "), shortly(value))
        for key, value in result.explanation.items()
        if isinstance(value, str | int | float)
    ][:_SHARES_SHOWN]


_FOR_PROGRAMS = ("settings", "alarms", "limits")


def told(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Without the settings, of which the page would be full; they are for `shiftwatch verify`."""
    return {key: value for key, value in provenance.items() if key not in _FOR_PROGRAMS}


def flat(given: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested JSON as a list of path and text."""
    entries: list[tuple[str, str]] = []
    for key, value in given.items():
        path = f"{prefix}{visible(str(key))}"
        if isinstance(value, Mapping):
            entries += flat(value, f"{path} ")
        else:
            entries.append((cut(path), shortly(value)))
    return entries


def shortly(value: Any) -> str:
    """A single value as text."""
    if value is None:
        return "none"
    if isinstance(value, float):
        return phrase.number(value)
    return cut(visible(str(value)), 200)


# --- what only some runs tell ------------------------------------------------------------------


def comparison(run: Run) -> dict[str, str]:
    """What both sides are called where the run is no check of a batch against its reference."""
    given = run.explanation.get("comparison")
    if not isinstance(given, Mapping):
        return {}
    sides = {side: given.get(side) for side in ("reference", "current")}
    return {side: str(name) for side, name in sides.items()} if all(sides.values()) else {}


def comparison_promise(run: Run) -> str:
    """How often such a comparison errs; empty where it does not say so."""
    given = run.explanation.get("comparison")
    told = given.get("promise") if isinstance(given, Mapping) else None
    return told if isinstance(told, str) else ""


def not_estimated(run: Run) -> str:
    """Why there is no estimate of the performance; empty where there is one, or none was asked for."""
    given = run.explanation.get("performance")
    reason = given.get("not_estimated") if isinstance(given, Mapping) else None
    return reason if isinstance(reason, str) else ""


def example_rows(run: Run) -> dict[str, Any]:
    """Rows of the batch that the configuration lets the report show; empty where it does not."""
    given = run.explanation.get("rows")
    told = given.get("input") if isinstance(given, Mapping) else None
    if not isinstance(told, Mapping):
        return {}
    columns, rows = told.get("columns"), told.get("rows")
    if not (isinstance(columns, list) and isinstance(rows, list)):
        return {}
    kept = [row for row in rows[:_ROWS_SHOWN] if isinstance(row, list)]
    return {"columns": columns, "rows": kept, "why": told.get("why", "")} if kept else {}
