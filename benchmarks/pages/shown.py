"""Point by point, what a report shows: each cell is what was found on the opened page, or that it was not.

In:    what a browser saw of two pages of the same month of hotel bookings, everything unfolded.
Out:   rows of cells: ``yes`` with what it says, ``no`` with what there is instead.
Never: takes anybody's word for a cell; leaves out what only the other has.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Seen = Mapping[str, Any]
"""What ``browser.examined`` found, with ``can``: what the package can do besides."""

Probe = Callable[[Seen], str]

_QUOTED = 90


def says(pattern: str, otherwise: str = "") -> Probe:
    """``yes`` with the words of the page that a pattern finds; else ``no``."""

    def probe(seen: Seen) -> str:
        found = re.search(pattern, " ".join(seen["text"].split()))
        if found is None:
            return f"no: {otherwise}" if otherwise else "no"
        return f'yes: "{_short(found[0])}"'

    return probe


def _short(text: str) -> str:
    return text if len(text) <= _QUOTED else text[: _QUOTED - 1].rstrip() + "…"


def holds(told: Callable[[Seen], object], yes: str, no: str = "") -> Probe:
    """``yes`` or ``no`` by a fact, each with a text that may quote other facts by name."""

    def probe(seen: Seen) -> str:
        answer, text = ("yes", yes) if told(seen) else ("no", no)
        text = text.format_map(seen)
        return f"{answer}: {text}" if text else answer

    return probe


def can(*names: str, yes: str = "", no: str = "") -> Probe:
    """Whether the package has something of one of these names."""
    return holds(lambda seen: set(names) & set(seen["can"]), yes or f"`{names[0]}`", no)


@dataclass(frozen=True, slots=True)
class Point:
    """One thing to show, and how it is looked for on either page."""

    what: str
    ours: Probe
    theirs: Probe

    @classmethod
    def same(cls, what: str, probe: Probe) -> Point:
        """Both are asked in the same way."""
        return cls(what, probe, probe)


ANSWERS: tuple[Point, ...] = (
    Point(
        "verdict in a sentence",
        says(r"(?:Since|Shift in|From)[^.]*(?:moved|differ)[^.]*\."),
        says(r"Dataset Drift is (?:NOT )?detected\. Dataset drift detection threshold is [\d.]+"),
    ),
    Point(
        "an alarm's state, and since when",
        says(r"Alarm on since batch \w+ \([^)]*\)"),
        says(r"(?i)\bsince\b|first seen|alarm", "a report knows two tables and no past"),
    ),
    Point(
        "the past as a picture",
        says(r"Evidence over the last \d+ checks"),
        says(r"(?i)last \d+ (?:checks|runs)", "in its monitoring service, not in the report"),
    ),
    Point(
        "columns ranked",
        says(r"What the decision rests on first, then by[^.]*"),
        says(
            r"Stat Test Drift Score \w+ (?:num|cat) (?:Not )?Detected [A-Z][\w -]+(?:\(\w+\))? [\d.]+",
            "not found",
        ),
    ),
    Point(
        "what part each column has in the difference",
        says(r"[\w, ]+ (?:carry|carries) [\d.]+ % of[^.]*"),
        says(r"(?i)contribut|carries|share of the difference"),
    ),
    Point(
        "distributions of both sides",
        holds(
            lambda seen: seen["pictures"] > 5, "{pictures} pictures, both sides in one, by quantile"
        ),
        holds(
            lambda seen: seen["pictures"] > 5,
            "{pictures} pictures, a small one a side, a large one when unfolded",
        ),
    ),
    Point(
        "size of a shift with its interval",
        says(r"\d\.\d{3} \d\.\d{3} to \d\.\d{3}"),
        says(r"(?i)confidence|interval|\d to \d\.\d", "a distance without an interval"),
    ),
    Point(
        "against what matters (a tolerance)",
        says(r"the tick is what matters|within (?:the )?tolerance"),
        says(
            r"(?i)tolerance|threshold (?:of|for) (?:a|each) column",
            "the threshold of a column, .1 by default, is not on the page",
        ),
    ),
    Point(
        "p-values, corrected for many tests",
        says(r"Corrected p-value [\d.e-]+ (?:reaches|stays above) the level [\d.]+"),
        says(
            r"(?i)corrected p|bonferroni|holm|benjamini",
            "distances, or p-values if asked for, none corrected",
        ),
    ),
    Point(
        "dependent rows counted as fewer",
        says(r"effective [\d,]+ v [\d,]+"),
        says(r"(?i)effective|autocorrel|depend"),
    ),
    Point(
        "all columns tested together",
        says(r"Maximum mean discrepancy, inputs p-value [\d.e-]+"),
        says(
            r"(?i)discrepancy|classifier|domain",
            "the share of drifted columns, for which half is the threshold",
        ),
    ),
    Point(
        "drift of predictions",
        says(r"predictions (?:show no shift|moved[^.]*)"),
        holds(
            lambda seen: "y_pred_proba" in seen["drifting"],
            "a column like others, unless its role is told",
        ),
    ),
    Point(
        "performance estimated without labels",
        says(r"(?i)estimated (?:accuracy|mean absolute error|performance)[^.]*\."),
        says(r"(?i)estimated (?:accuracy|performance)"),
    ),
    Point(
        "performance from labels",
        says(r"ROC AUC|F1|(?:measured|labelled) accuracy", "labels are not read for it"),
        says(r"Accuracy [\d.]+ Precision|[\d.]+ Accuracy [\d.]+ Precision [\d.]+ Recall"),
    ),
    Point(
        "nulls",
        says(r"nulls inputs? neither side has a null|Nulls? [\d.]+ %"),
        says(r"missing [\d.]+ \([\d.]+%\) [\d.]+ \([\d.]+%\)"),
    ),
    Point(
        "categories that appeared or vanished",
        says(r"What appeared, and what vanished|never in the reference: [\w, .]+"),
        says(r"(?i)new categories|new category|new in current|unseen|vanished", "bars only"),
    ),
    Point(
        "descriptive statistics of each column",
        says(r"\bmean [\d.]+ .*\bstd [\d.]+", "quantiles in the pictures"),
        says(r"min [\d.]+ [\d.]+ max [\d.]+ [\d.]+ mean [\d.]+ [\d.]+ std [\d.]+ [\d.]+"),
    ),
    Point(
        "the table as a whole: constant, duplicated columns",
        says(r"(?i)duplicated columns"),
        says(r"constant columns \d+ \d+ .*?duplicated columns \d+ \d+"),
    ),
    Point(
        "what was not tested, and why",
        says(r"What was not tested, and why"),
        says(r"(?i)not tested|skipped"),
    ),
    Point(
        "how small a shift it could have shown",
        says(r"A batch of [\d,]+ rows shows with probability \.\d: [^.]*"),
        says(r"(?i)power|detectable"),
    ),
    Point(
        "how often it errs",
        says(r"at most [\d.]+ expected false alarm in [\d,]+ checks"),
        says(r"(?i)false alarm|type I"),
    ),
    Point("what to do next", says(r"What to do next [^.]*\."), says(r"(?i)what to do|next step")),
    Point(
        "where it comes from (digests, versions, seed)",
        says(r"reference sha256 [0-9a-f]{8}"),
        says(r"(?i)sha256|version"),
    ),
    Point(
        "what the check cost",
        says(r"This check took [\d.]+ s of CPU[^.]*\.\d"),
        says(r"(?i)\bCPU\b|seconds"),
    ),
    Point.same(
        "words explained by hovering",
        holds(lambda seen: seen["explained"], "{explained} words", "0 words"),
    ),
)
"""What a reader learns."""

READING: tuple[Point, ...] = (
    Point.same(
        "pictures to zoom into, with numbers by hovering",
        holds(lambda seen: seen["zoomable"], "in {zoomable} pictures", "still pictures"),
    ),
    Point.same(
        "tables to sort and to search",
        holds(
            lambda seen: seen["sortable"] and seen["inputs"],
            "the table of columns, ten of them at a time",
            "all columns in one table, in the order of their part in it",
        ),
    ),
    Point.same(
        "works offline",
        holds(
            lambda seen: seen["outside"] == 0 and seen["words"] > 50,
            "asks no other machine for anything",
            "{outside} requests to other machines",
        ),
    ),
    Point.same(
        "without script",
        holds(
            lambda seen: seen["without_script"] > 50,
            "{without_script} words",
            "{without_script} words: an empty page",
        ),
    ),
    Point.same(
        "no error in the console",
        holds(lambda seen: seen["errors"] == 0, "", "{errors} messages"),
    ),
    Point.same(
        "dark",
        holds(lambda seen: seen["dark"] != seen["light"], "as the reader's system is set", "no"),
    ),
    Point.same(
        "printed: everything is on paper",
        holds(
            lambda seen: seen["printed_columns"] >= seen["columns"],
            "{printed_pages} pages, the drift of {printed_columns} of {columns} columns",
            "{printed_pages} pages, the drift of {printed_columns} of {columns} columns",
        ),
    ),
    Point.same(
        "360 px wide",
        holds(
            lambda seen: not seen["wide"] and seen["cut_off"] == 0,
            "nothing sticks out",
            "{cut_off} texts beyond the edge of the window",
        ),
    ),
    Point.same(
        "axe-core finds nothing",
        holds(
            lambda seen: not seen["axe_rules"],
            "",
            "{axe_elements} elements against: {axe_names}",
        ),
    ),
    Point.same(
        "every picture in words too",
        holds(
            lambda seen: seen["pictures_named"] == seen["pictures"],
            "{pictures_named} of {pictures}",
            "{pictures_named} of {pictures}",
        ),
    ),
    Point.same(
        "by keyboard",
        holds(
            lambda seen: seen["focus_stops"] and "button-name" not in seen["axe_rules"],
            "{focus_stops} stops, all named",
            "{focus_stops} stops, among them buttons without a name",
        ),
    ),
)
"""How it is read."""

CARRYING: tuple[Point, ...] = (
    Point(
        "JSON with a published schema",
        can("json schema", yes="every report is held against it in the tests"),
        can("json schema", no="JSON without a schema"),
    ),
    Point(
        "Markdown for a ticket", can("markdown"), can("to_markdown", "markdown", "save_markdown")
    ),
    Point("CSV of the column table", can("csv"), can("to_csv", "csv", "save_csv")),
    Point(
        "shows itself in a notebook",
        can("_repr_html_", yes="`shiftwatch.compare()`"),
        can("_repr_html_", yes="its report"),
    ),
    Point(
        "own conditions for passing, column by column",
        can("tests", no="an alarm with its exit status; tolerances by column"),
        can("tests_results", yes="`Report(..., include_tests=True)`"),
    ),
    Point("correlations between columns", can("correlations"), can("DatasetCorrelations")),
    Point("drift of embeddings", can("embeddings"), can("EmbeddingsDrift")),
    Point(
        "more kinds of report",
        holds(
            lambda seen: len(seen["kinds"]) > 1,
            "",
            "one report; six kinds of test, two of them joint",
        ),
        holds(
            lambda seen: len(seen["kinds"]) > 1,
            "{kind_names}; {metrics} metrics to choose from",
        ),
    ),
)
"""How it is handed on."""

TABLES: Mapping[str, tuple[Point, ...]] = {
    "What a reader learns": ANSWERS,
    "How it is read": READING,
    "How it is handed on": CARRYING,
}

Cells = dict[str, dict[str, str]]
"""By table and point."""


def cells(seen: Seen, side: str) -> Cells:
    """Every cell of ``ours`` or ``theirs``."""
    return {
        table: {point.what: getattr(point, side)(seen) for point in points}
        for table, points in TABLES.items()
    }


def summed(examined: Mapping[str, Any], capable: Mapping[str, Any], columns: int) -> Seen:
    """What a browser found and what a package can do, under the names the points ask for."""
    return {
        **examined,
        **examined["marks"],
        **capable,
        "columns": columns,
        "words": len(examined["text"].split()),
        "axe_names": ", ".join(examined["axe_rules"]),
    }
