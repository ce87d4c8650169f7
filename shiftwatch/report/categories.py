"""Categories that came and went, by column, and how much of the rows they are.

In:    a Run.
Out:   a row a column.
Never: shows more of the data than the names of categories and their shares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shiftwatch.report.phrase import percent
from shiftwatch.values import ColumnProfile, Run

_COLUMNS_SHOWN = 40
_NAMES_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Listed:
    """Names of categories, each with its share of the rows where that is known, and how many more."""

    names: tuple[tuple[str, str], ...]
    more: int


@dataclass(frozen=True, slots=True)
class Exchange:
    """What one column has that the reference has not, and what it has lost."""

    column: str
    appeared: Listed
    vanished: Listed


def came_and_went(run: Run) -> list[Exchange]:
    """The columns of which categories appeared or vanished, in the order of the run."""
    profiles = {profile.name: profile for profile in run.columns}
    new = {name: profile.new_categories for name, profile in profiles.items()}
    gone = _vanished(run)
    concerned = [name for name in dict.fromkeys((*new, *gone)) if new.get(name) or gone.get(name)]
    return [
        Exchange(
            name,
            _listed(new.get(name, ()), profiles.get(name), now=True),
            _listed(gone.get(name, ()), profiles.get(name), now=False),
        )
        for name in concerned[:_COLUMNS_SHOWN]
    ]


def _vanished(run: Run) -> dict[str, tuple[str, ...]]:
    given = run.explanation.get("vanished")
    if not isinstance(given, Mapping):
        return {}
    return {
        str(name): tuple(str(text) for text in texts)
        for name, texts in given.items()
        if isinstance(texts, Sequence) and not isinstance(texts, str)
    }


def _listed(names: Sequence[str], profile: ColumnProfile | None, *, now: bool) -> Listed:
    shares = _shares(profile, now=now) if profile is not None else {}
    shown = tuple((name, shares.get(name, "")) for name in names[:_NAMES_SHOWN])
    return Listed(shown, len(names) - len(shown))


def _shares(profile: ColumnProfile, *, now: bool) -> dict[str, str]:
    """Share of each named category in the present rows of one side."""
    counts = profile.counts_current if now else profile.counts_reference
    rows, nulls = (
        (profile.rows_current, profile.nulls_current)
        if now
        else (profile.rows_reference, profile.nulls_reference)
    )
    present = max(rows - nulls, sum(counts))
    pairs = zip(profile.categories, counts, strict=False)
    return {name: percent(count / present) for name, count in pairs if present and count}
