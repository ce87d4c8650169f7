"""`benchmarks/report.md`: the stored results as a page.

In:    what `make bench-report` stored.
Out:   Markdown.
Never: says a figure that is not stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from benchmarks.pages.material import DIRTY
from benchmarks.speed.table import markdown, short

Stored = Mapping[str, Any]
Rows = list[tuple[str, ...]]

GOALS: Mapping[str, Mapping[str, float]] = {
    "50 columns": {"seconds": 0.3, "bytes": 300_000, "gzip": 60_000},
    "1000 columns": {"bytes": 1_500_000, "milliseconds": 2000},
}
"""What was asked of a page; seconds are of CPU, milliseconds until it is open."""

_HEAD = """\
# The report page

Made by `make bench-report`; a test holds this page against the results, and what it says of ours \
against a new page. MB and kB are 10^6 and 10^3 bytes; seconds are CPU seconds, user and system, on \
one thread, where no clock is named; figures are medians (least to greatest).
"""
_HISTORY = """\
## From a stored verdict

Batches are judged by `shiftwatch once` into a history; then `shiftwatch report` writes the newest. \
**50 columns**: 40 of numbers and 10 of texts, reference of 100,000 rows, batch of 10,000, twelve \
verdicts in the history. **1000 columns**: 800 and 200, 20,000 rows v 2,000. The whole program \
starts Python, reads the settings and writes the file; the first of a process has read the settings, \
and loads what renders and compiles the templates; warm is once more in the same process, as in the \
daemon.
"""
_OPENED = """\
Opened from a file in Chromium, script on, an empty cache, the layout forced; milliseconds from the \
start of the navigation. *Complete* is the last change of the document.
"""
_SIDE = """\
## Beside Evidently, on hotel bookings

The bookings of the shared data: reference May to September 2016 (16,913 rows), batch October 2016 \
to January 2017 (11,769 rows), 27 columns. The season is known to move `adr` (KS .36) and `lead_time` \
(KS .27), and 9 of 14 columns of numbers at all. Both read the same two Parquet files and write one \
HTML file: ours by `shiftwatch compare --html`, Evidently {version} with pandas 2 (with pandas 3 it \
cannot be imported) by `Report([DataDriftPreset()])`, and with `DataSummaryPreset()` besides, which \
describes the data. A cold start is the whole process, imports included; once more is \
`shiftwatch.compare(...).to_html()`, which starts a worker each time, and the same lines of Evidently \
again; both read both files anew. The clock is that of the wall.
"""
_POINTS = """\
## Point by point

Both pages are of January 2017 against the same reference, each with all that it can be given: times, \
predictions and labels. Ours comes from a history of four months; Evidently's holds its presets for \
drift, summary and classification. Every cell was found by a program on the opened page, with rows \
and details unfolded, and quotes it; **no** means that the page has no such words. Pictures were looked \
at by eye, too. What only Evidently has is in the tables as well.
"""
_DIRT = """\
## Spoilt columns

The same pair, with one column of the batch spoilt: `parking_spaces` or `deposit_type`, neither of \
which has moved by itself. Each package is asked once a batch; Evidently's drift and summary.
"""


def rendered(found: Stored) -> str:
    """The whole page."""
    return "\n".join(_parts(found))


def _parts(found: Stored) -> Iterator[str]:
    yield _HEAD
    yield _where(found["ours"])
    yield markdown(goals(found["made"]))
    yield _HISTORY
    yield markdown(_generation(found["made"]))
    yield _OPENED
    yield markdown(_opening({**_of_made(found["made"]), **_of_pair(found)}))
    theirs = found["theirs"]
    yield _SIDE.format(version=theirs["about"]["version"])
    yield markdown(_costs(found))
    yield _verdicts(found)
    yield _POINTS
    for table in found["ours"]["cells"]:
        yield f"### {table}\n"
        yield markdown(_points(found, table))
    yield _DIRT
    yield markdown(_dirty(found))


def _where(ours: Stored) -> str:
    about = ours["circumstances"]
    return f"Measured on {about['cpu']}, {about['measured']}.\n"


def goals(made: Stored) -> Rows:
    """What was asked of a page, and whether it was reached."""
    rows: Rows = [("asked of a page", "at most", "measured", "reached")]
    for name, bounds in GOALS.items():
        entry = made[name]
        measured = {
            "seconds": entry["generation"]["html"]["first"]["median"],
            **entry["sizes"]["html"],
            "milliseconds": entry["opened"]["complete"]["median"],
        }
        for kind, bound in bounds.items():
            reached = "yes" if measured[kind] <= bound else "**no**"
            what, unit = _ASKED[kind]
            rows.append((f"{name}: {what}", unit(bound), unit(measured[kind]), reached))
    return rows


def _kilobytes(count: float) -> str:
    return f"{count / 1e6:.2f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


_ASKED: Mapping[str, tuple[str, Callable[[float], str]]] = {
    "seconds": (
        "made from a stored verdict, the first of a process",
        lambda each: f"{short(each)} s",
    ),
    "bytes": ("bytes", _kilobytes),
    "gzip": ("bytes by gzip", _kilobytes),
    "milliseconds": ("open, in Chromium", lambda each: f"{short(each)} ms"),
}


def _generation(made: Stored) -> Rows:
    rows: Rows = [
        (
            *("columns", "format", "whole program, CPU s", "first of a process, CPU s"),
            *("warm, CPU s", "bytes", "by gzip"),
        )
    ]
    for name, entry in made.items():
        for form, taken in entry["generation"].items():
            size = entry["sizes"][form]
            seconds = [_range(taken[kind]) for kind in ("cold", "first", "warm")]
            rows.append((name, form, *seconds, _kilobytes(size["bytes"]), _kilobytes(size["gzip"])))
    return rows


def _range(found: Mapping[str, float]) -> str:
    middle, low, high = (short(found[key]) for key in ("median", "min", "max"))
    return f"{middle} ({low} to {high})"


def _of_made(made: Stored) -> dict[str, Stored]:
    return {
        f"ours, {name}": entry["opened"] | {"bytes": entry["sizes"]["html"]["bytes"]}
        for name, entry in made.items()
    }


def _of_pair(found: Stored) -> dict[str, Stored]:
    ours, theirs = found["ours"]["pair"], found["theirs"]["pair"]
    named = {"ours, hotel bookings": ours}
    named |= {f"Evidently, {_NAMES[key]}, hotel bookings": each for key, each in theirs.items()}
    return {name: entry["opened"] | {"bytes": entry["bytes"]} for name, entry in named.items()}


_NAMES = {"drift": "drift", "summary": "drift and summary"}


def _opening(pages: Mapping[str, Stored]) -> Rows:
    rows: Rows = [("page", "bytes", "first paint, ms", "load, ms", "complete, ms", "elements")]
    for name, entry in pages.items():
        times = (_range(entry[key]) for key in ("paint", "load", "complete"))
        elements = f"{entry['elements']['median']:,.0f}"
        rows.append((name, _kilobytes(entry["bytes"]), *times, elements))
    return rows


_COSTS: Mapping[str, Callable[[Any], str]] = {
    "cold start, CPU s": lambda each: _range(each["cold cpu"]),
    "cold start, by the clock, s": lambda each: _range(each["cold wall"]),
    "once more in the same process, CPU s": lambda each: _range(each["warm cpu"]),
    "largest process, MB": lambda each: short(each["peak megabytes"]["median"]),
    "bytes of HTML": lambda each: _kilobytes(each["bytes"]),
    "by gzip": lambda each: _kilobytes(each["gzip"]),
}


def _costs(found: Stored) -> Rows:
    ours, theirs = found["ours"]["pair"], found["theirs"]["pair"]
    columns = {"ours": ours, **{f"Evidently, {_NAMES[key]}": each for key, each in theirs.items()}}
    rows: Rows = [("two files to a page", *columns)]
    for what, cell in _COSTS.items():
        rows.append((what, *map(cell, columns.values())))
    return rows


def _verdicts(found: Stored) -> str:
    ours, theirs = found["ours"]["pair"]["says"], found["theirs"]["pair"]["drift"]["found"]
    return f"What they say of it. Ours: *{ours}* Evidently: *{', '.join(theirs)}.*\n"


def _points(found: Stored, table: str) -> Rows:
    ours, theirs = found["ours"]["cells"][table], found["theirs"]["cells"][table]
    rows: Rows = [("", "ours", "Evidently")]
    return rows + [(what, _cell(ours[what]), _cell(theirs.get(what, "-"))) for what in ours]


def _cell(text: str) -> str:
    answer, colon, rest = text.partition(":")
    return f"**{answer}**{colon}{rest}" if answer == "no" else text


def _dirty(found: Stored) -> Rows:
    ours, theirs = found["ours"]["dirt"], found["theirs"]["dirt"]
    rows: Rows = [("", "column", "ours", "Evidently")]
    for name, (column, _) in DIRTY.items():
        rows.append((name, f"`{column}`", ours[name], theirs[name]))
    return rows


def shown_rows(cells: Mapping[str, Mapping[str, str]]) -> Sequence[tuple[str, str, str]]:
    """Table, point and bare answer of every cell: what may not change unnoticed."""
    return [
        (table, what, text.partition(":")[0])
        for table, points in cells.items()
        for what, text in points.items()
    ]
