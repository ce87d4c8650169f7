"""Columns that are computed from others, said as what they are.

In:    the columns, results and skips of a run.
Out:   what each derived column holds, as a phrase.
Never: takes a real column with a dot in its name for a derived one where its kind says otherwise.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from shiftwatch.report.phrase import Name, Phrase
from shiftwatch.values import ColumnProfile, Run

_OF_TIMES = {"hour": "hour of the day of ", "weekday": "day of the week of "}
_OF_TEXTS = {
    "length": "characters in ",
    "digits": "share of digits in ",
    "non_ascii": "share of characters beyond ASCII in ",
}


def origins(run: Run) -> Mapping[str, Phrase]:
    """What the derived columns hold, by name.

    The source of an hour or a weekday is a timestamp, of which the run says that it was not
    tested; the source of what is read off a text is there as a categorical column.
    """
    arrival = _arrival(run)
    lag = {f"{arrival}.lag": ("seconds from the event to ", Name(arrival))} if arrival else {}
    texts = {column.name for column in run.columns if column.kind == "categorical"}
    times = {skip.target for skip in run.skipped if skip.reason == "timestamp"}
    found = {column.name: _origin(column, texts, times) for column in run.columns}
    return {name: told for name, told in found.items() if told} | lag


def _arrival(run: Run) -> str:
    """The column of arrival times that the check was told of; empty where there is none."""
    settings = run.provenance.get("settings")
    columns = settings.get("columns") if isinstance(settings, Mapping) else None
    named = columns.get("arrival") if isinstance(columns, Mapping) else None
    return named if isinstance(named, str) else ""


def _origin(column: ColumnProfile, texts: Collection[str], times: Collection[str]) -> Phrase:
    source, _, part = column.name.rpartition(".")
    if column.kind == "numeric" and source in texts and part in _OF_TEXTS:
        return (_OF_TEXTS[part], Name(source))
    if column.kind == "categorical" and source in times and part in _OF_TIMES:
        return (_OF_TIMES[part], Name(source))
    return ()
