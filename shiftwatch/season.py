"""Phases of a day or a week: which rows of a reference a batch may be compared with.

In:    unix seconds, "day" or "week".
Out:   Arc of a period; masks and cycles of rows; Table, which finds the season in columns.
Never: knows a time zone other than UTC; reads a clock.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtrc

Floats = NDArray[np.float64]
Season = Literal["day", "week"]

SECONDS: Mapping[Season, float] = {"day": 86400.0, "week": 7 * 86400.0}
BUCKET = 3600.0
"""Phases are told apart by the hour: finer ones need more cycles than references have."""

CYCLES = 10
"""Days or weeks a phase must have been seen in before it can be compared with."""

MOST = 0.75
"""Share of the period from which on a batch covers all of it."""

_SLACK = 0.1
_MONDAY = 4 * 86400.0  # 1970-01-05, so that a week begins with Monday
_SEEN_PARTS: Mapping[Season, int] = {"day": 6, "week": 7}
_SEEN_LEVEL = 1e-4
_SEEN_SHARE = 0.03
_FEWEST_CYCLES = 4


@dataclass(frozen=True, slots=True)
class Arc:
    """Whole hours of a day, or of a week that begins on Monday, in UTC: from ``first`` on.

    Examples
    --------
    >>> Arc("day", 22, 4).name
    'day-22-02'
    """

    season: Season
    first: int
    hours: int

    @property
    def name(self) -> str:
        """A name for files and findings; hours of the week are counted from Monday."""
        size = hours_of(self.season)
        return f"{self.season}-{self.first:02}-{(self.first + self.hours) % size:02}"

    def holds(self, times: Floats) -> NDArray[np.bool_]:
        """Which times lie in the arc; one that is NaN lies in none.

        Parameters
        ----------
        times
            Unix seconds, shape (rows,).
        """
        return np.asarray(self._since_start(times) < self.hours * BUCKET)

    def cycles(self, times: Floats) -> NDArray[np.int64]:
        """Number of the day or week a time belongs to, shape (rows,); an arc is never torn."""
        start = _MONDAY + self.first * BUCKET
        return np.floor((times - start) / SECONDS[self.season]).astype(np.int64)

    def _since_start(self, times: Floats) -> Floats:
        return np.mod(times - _MONDAY - self.first * BUCKET, SECONDS[self.season])


def hours_of(season: Season) -> int:
    """Hours of the period."""
    return round(SECONDS[season] / BUCKET)


def arc(season: Season, start: float, end: float) -> Arc | None:
    """The hours a batch covers; None where it covers three quarters of the period or more.

    A tenth of an hour at either end does not count, so that a batch that ends a moment after the
    hour is no other batch than one that ends a moment before.

    Parameters
    ----------
    season
        The period.
    start, end
        Unix seconds of the earliest and latest row.

    Examples
    --------
    >>> arc("day", 6 * 3600.0, 12 * 3600.0 + 20)
    Arc(season='day', first=6, hours=6)
    >>> arc("day", 0.0, 20 * 3600.0) is None
    True
    """
    if end - start >= MOST * SECONDS[season]:
        return None
    first = math.floor((start - _MONDAY) / BUCKET + _SLACK)
    last = max(first + 1, math.ceil((end - _MONDAY) / BUCKET - _SLACK))
    return Arc(season, first % hours_of(season), last - first)


def cycles_by_hour(season: Season, times: Floats) -> list[int]:
    """In how many days or weeks each hour of the period was seen.

    Parameters
    ----------
    times
        Unix seconds of the reference, NaN where null.
    """
    known = times[~np.isnan(times)]
    hours = np.floor((known - _MONDAY) / BUCKET).astype(np.int64)
    phases = np.unique(hours) % hours_of(season)
    return [int(count) for count in np.bincount(phases, minlength=hours_of(season))]


def cycles_of(arc_: Arc, by_hour: list[int]) -> int:
    """Days or weeks in which some hour of the arc was seen; see :func:`cycles_by_hour`."""
    size = hours_of(arc_.season)
    return max(by_hour[(arc_.first + hour) % size] for hour in range(arc_.hours))


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Where rows lie in cycles of a period and parts of each, laid out once for all columns.

    ``cell`` has shape (rows,) and counts through the table row by row; ``counts`` has shape
    (cycles, parts).
    """

    cell: NDArray[np.int64]
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, season: Season, times: Floats) -> Table:
        """The table of rows with these unix seconds; a day is cut into 6 parts, a week into 7."""
        period, parts = SECONDS[season], _SEEN_PARTS[season]
        place = np.floor(np.mod(times - _MONDAY, period) / period * parts).astype(np.int64)
        cycle = np.floor((times - _MONDAY) / period).astype(np.int64)
        known, row = np.unique(cycle, return_inverse=True)
        cell = row * parts + np.minimum(place, parts - 1)
        counts = np.bincount(cell, minlength=known.size * parts).reshape(-1, parts)
        return cls(cell, counts)

    def share(self, scores: Floats) -> float:
        """Share of the variance of scores, shape (rows,), that the season explains; 0 for none.

        Notes
        -----
        Two-way analysis of variance of the mean scores by cycle and part, without replication: the
        cycles are the replicates, so that rows which depend on each other within hours do not look
        like a season. Found if F is significant at 1e-4 and the parts explain 3 % of the variance
        of single rows or more.
        """
        table = self._means(scores)
        count, parts = table.shape
        variance = float(scores.var()) if scores.size else 0.0
        if count < _FEWEST_CYCLES or variance == 0:
            return 0.0
        centred = table - table.mean(axis=1, keepdims=True)
        effect = centred.mean(axis=0)
        rest = float(np.square(centred - effect).sum()) / ((parts - 1) * (count - 1))
        between = float(np.square(effect).sum()) * count / (parts - 1)
        share = float(np.square(effect).mean()) / variance
        if share < _SEEN_SHARE or between <= 0:
            return 0.0
        significance = fdtrc(parts - 1, (parts - 1) * (count - 1), between / max(rest, 1e-300))
        return share if significance <= _SEEN_LEVEL else 0.0

    def _means(self, scores: Floats) -> Floats:
        """Mean scores, shape (cycles, parts), of the cycles in which every part was seen."""
        sums = np.bincount(self.cell, weights=scores, minlength=self.counts.size)
        whole = self.counts.min(axis=1) > 0
        return np.asarray(sums.reshape(self.counts.shape)[whole] / self.counts[whole])
