"""Rows that depend on each other: found in the reference, and what it does to every test.

In:    a prepared reference, its rows in their order.
Out:   the reference with inflations by test and target; doubts about the promise, in words.
Never: sees a batch; compares with a level of a check.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from shiftwatch import season, windows
from shiftwatch.evaluate import Current, outcomes
from shiftwatch.inflation import (
    FEW,
    SINGLE,
    Inflation,
    estimate,
    estimate_by_effect,
    overlap_factor,
)
from shiftwatch.progress import counted
from shiftwatch.reference import JOINT, Reference, Root
from shiftwatch.sample import Sample
from shiftwatch.settings import ModelSettings
from shiftwatch.twosample.registry import Plan
from shiftwatch.values import Skipped, TwoSampleResult

Floats = NDArray[np.float64]

GLOBAL_LEVEL = 0.01
"""Of the decision whether rows depend on each other at all, over all columns."""

COLUMN_LEVEL = 0.05
"""Of the decision for a column, once some column does."""

EFFECTIVE_ROWS = 10
"""Effective rows of a batch below which its tests say nothing reliable."""

_SILENT = frozenset({"all_categories_known", "no_nulls", "constant"})
"""Skips of a window in which nothing differs."""

_SINGLE_TESTS = frozenset({"nulls", "unseen"})
_MOST_JOINT = 16
_LONGEST_JOINT = 5000
_LIGHTER: Mapping[str, int] = {"permutations": 199, "max_draws": 999}


@dataclass(frozen=True, slots=True, eq=False)
class Order:
    """What the order of a reference's rows stands for."""

    times: Floats | None = None
    """Event times in unix seconds, ascending, shape (rows,); None: rows are in file order."""
    cycles: NDArray[np.int64] | None = None
    """Day or week of each row, where the rows are only a part of each; see ``season.Arc``."""
    known: bool = True
    """Whether it is the order in which rows come. That of a file without event times may be one by
    label, region or customer, which says nothing of batches."""


def measure(
    reference: Reference, sample: Sample, order: Order, plan: Plan, seed: Root
) -> Reference:
    """Find dependence between rows and measure by how much it enlarges every statistic.

    Parameters
    ----------
    reference
        Prepared from ``sample`` with ``plan``.
    sample
        The rows in order of event time, or as the files have them.
    order
        What that order is.
    plan
        The configured tests.
    seed
        Root seed.

    Returns
    -------
    Reference
        With ``inflations`` and ``order``. The latter has ``rows``, ``ordered`` (by event time),
        ``judged`` (false where the rows are too few), ``dependent``, ``p_value``, ``season``
        (by period the ``share`` of variance and the ``column``) and ``cycles`` (by period, in how
        many of them each hour was seen; empty without event times).

    Notes
    -----
    First one decision at 1 % over all columns, by blocks of rows: see :func:`windows.alike`. Where
    it finds nothing, no p-value is touched, so independent rows lose no power (but in 1 % of
    references). Where it finds dependence, every test runs on up to 32 windows of the reference
    against the reference (joint tests: 16), and each target gets its own inflation; columns that
    look independent at 5 % are left alone. Dependence that shows in no single column is not found.
    Where it is not known whether the order means anything, what is found is told by :func:`doubts`
    and touches no p-value: a reference sorted by customer would widen them until nothing is found.
    Then no more than 40 000 rows are looked at, not 100 000: a column whose rows are alike enough
    to matter shows it in those. Measured at 100 000 rows in 50 columns of which one is not random
    (150 runs; found among 100 000 / 40 000): AR(1) .05 in .79 / .16 of runs, .07 in .99 / .57, .1
    (kappa 1.2) in 1 / .95, .15 in 1 / 1; groups of 5 rows that share .05 of the variance 1 / .92,
    of 50 that share .02 1 / 1, of 1000 that share .005 1 / .99; a trend of .2 deviations 1 / 1;
    rows in random order .007 / 0. Event times are looked at as before.
    """
    names = _names(reference)
    judged = bool(windows.lengths(sample.rows, order.cycles))
    suspicion = _suspicion(sample, names, order) if judged else {}
    p_value = min(1.0, len(suspicion) * min(suspicion.values())) if suspicion else 1.0
    found = {
        "rows": sample.rows,
        "ordered": order.times is not None,
        "judged": judged,
        "dependent": p_value <= GLOBAL_LEVEL,
        "p_value": p_value,
        "season": _seasons(sample, names, order.times),
        "cycles": _cycles(order.times),
    }
    inflations: Mapping[str, Sequence[Inflation]] = {}
    if p_value <= GLOBAL_LEVEL and order.known:
        moved = {name for name, p in suspicion.items() if p <= COLUMN_LEVEL}
        inflations = _inflations(reference, sample, order, lighter(plan), (moved, seed))
    return replace(reference, inflations=inflations, order=found)


def _names(reference: Reference) -> list[str]:
    return [
        column.name
        for column in reference.schema
        if column.role in ("input", "prediction") and column.kind in ("numeric", "categorical")
    ]


def _suspicion(sample: Sample, names: Sequence[str], order: Order) -> dict[str, float]:
    looked_at = windows.chunks(
        sample.rows, windows.LOOKED_AT if order.known else windows.GLANCED_AT
    )
    cycles = None if order.cycles is None else order.cycles[looked_at]
    columns = (sample.column(name) for name in names)
    if looked_at.size < sample.rows:
        columns = (column.take(looked_at) for column in columns)
    told = counted("looking for dependence between rows", columns, len(names))
    return windows.alike(told, cycles)


def _seasons(sample: Sample, names: Sequence[str], times: Floats | None) -> dict[str, Any]:
    """By period the column that follows it most, and how much of its variance that explains."""
    told: dict[str, Any] = {}
    if times is None:
        return told
    looked_at = windows.spread(sample.rows)
    tables = {period: season.Table.of(period, times[looked_at]) for period in season.SECONDS}
    largest = dict.fromkeys(tables, (0.0, ""))
    for name in names:
        for numbers in windows.scores(sample.column(name).take(looked_at)):
            for period, table in tables.items():
                largest[period] = max(largest[period], (table.share(numbers), name))
    for period, (share, name) in largest.items():
        if share > 0:
            told[period] = {"share": share, "column": name}
    return told


def _cycles(times: Floats | None) -> dict[str, list[int]]:
    if times is None:
        return {}
    return {period: season.cycles_by_hour(period, times) for period in season.SECONDS}


_Test = TypeVar("_Test")


def lighter(plan: Plan) -> Plan:
    """The same tests with fewer draws: less sharp below 1/(draws + 1), and not wrong."""
    return Plan(tuple(map(_with_fewer, plan.column)), tuple(map(_with_fewer, plan.joint)))


def _with_fewer(test: _Test) -> _Test:
    if not is_dataclass(test):
        return test
    known = {f.name: getattr(test, f.name) for f in fields(test)}
    fewer = {name: min(most, known[name]) for name, most in _LIGHTER.items() if name in known}
    return replace(test, **fewer)  # type: ignore[type-var] # a dataclass, see above


def _inflations(
    reference: Reference,
    sample: Sample,
    order: Order,
    plan: Plan,
    chosen: tuple[set[str], Root],
) -> dict[str, list[Inflation]]:
    moved, seed = chosen
    alone = replace(reference, schema=tuple(c for c in reference.schema if c.name in moved))
    measured: dict[str, list[Inflation]] = {}
    for length in windows.lengths(sample.rows, order.cycles):
        most = windows.affordable(length)
        single = (alone, Plan(plan.column, ()), most)
        joint = (reference, Plan((), plan.joint), min(most, _MOST_JOINT))
        for known, tests, count in (single, joint) if length <= _LONGEST_JOINT else (single,):
            places = windows.bounds(sample.rows, length, order.cycles, count)
            if len(places) >= windows.FEWEST and (tests.column or tests.joint):
                for key, inflation in _at(known, sample, tests, places, seed):
                    measured.setdefault(key, []).append(inflation)
    return measured


def _at(
    reference: Reference, sample: Sample, plan: Plan, places: windows.Bounds, seed: Root
) -> Iterator[tuple[str, Inflation]]:
    """Inflations of all targets of a plan at one length of window."""
    p_values: dict[str, list[float]] = {}
    effects: dict[str, list[float]] = {}
    kept: dict[str, float] = {}
    for start, stop in places:
        window = sample.take(np.arange(start, stop))
        current = Current(window, {}, f"window {start} {stop}")
        for entry in outcomes(reference, current, plan, seed):
            key = f"{entry.test}/{entry.scope}/{entry.target}"
            if isinstance(entry, TwoSampleResult):
                kept[key] = entry.rows_reference
                p_values.setdefault(key, []).append(entry.p_value)
                effects.setdefault(key, []).append(entry.effect)
            elif _says_nothing_differs(entry):
                p_values.setdefault(key, []).append(1.0)
                effects.setdefault(key, []).append(0.0)
    length = round(sum(stop - start for start, stop in places) / len(places))
    for key, values in p_values.items():
        if len(values) >= windows.FEWEST and key in kept:
            test, _, target = key.split("/", 2)
            in_use = kept[key] if target == JOINT else sample.rows
            factor = overlap_factor(length, sample.rows, in_use)
            if target == JOINT:
                yield key, estimate_by_effect(values, effects[key], length, factor)
            else:
                yield key, estimate(values, length, _degrees(sample, test, target), factor)


def _says_nothing_differs(entry: Skipped) -> bool:
    return entry.reason in _SILENT


def _degrees(sample: Sample, test: str, target: str) -> tuple[float, ...]:
    column = sample.column(target)
    two = column.kind == "categorical" and len(column.categories) <= 2
    return (SINGLE,) if two or test in _SINGLE_TESTS else (FEW,)


def doubts(
    reference: Reference, rows: int, settings: ModelSettings, span: float | None
) -> tuple[str, ...]:
    """Why the promise on false alarms cannot be shown to hold for a batch, in words.

    Parameters
    ----------
    reference
        With what :func:`measure` found.
    rows
        Rows of the batch.
    settings
        Of the model.
    span
        Seconds the batch covers; None where they are not known.
    """
    found = reference.order
    if not found:
        return ()
    told = []
    if rows * windows.FEWEST > reference.rows or not found["judged"]:
        told.append(
            f"dependence between rows cannot be measured: the reference ({reference.rows} rows) "
            f"is shorter than {windows.FEWEST} batches ({rows} rows each)"
        )
    if found["dependent"] and not reference.inflations:
        told.append(
            "rows of the reference depend on each other in the order of the file, and no p-value "
            "takes that into account: name `columns.time` if there are event times, or shuffle the "
            "reference if its order means nothing"
        )
    told += _starved(reference, rows)
    if settings.season is None:
        told += _unused_season(found, span)
    return tuple(told)


def _starved(reference: Reference, rows: int) -> Iterator[str]:
    few = []
    for key in reference.inflations:
        test, scope, target = key.split("/", 2)
        kappa = reference.kappa(test, scope, target, rows)  # type: ignore[arg-type] # a scope
        if target != JOINT and rows / kappa < EFFECTIVE_ROWS:
            few.append((rows / kappa, target))
    if few:
        least, target = min(few)
        count = len({name for _, name in few})
        yield (
            f"rows depend on each other so much that {rows} of them say as much as "
            f"{_few_rows(least)} in column {target!r}"
            + (f", and fewer than {EFFECTIVE_ROWS} in {count - 1} more" if count > 1 else "")
            + "; batches that cover more time would help"
        )


def _few_rows(number: float) -> str:
    return f"{number:.0f} independent ones" if round(number) > 1 else "a single independent one"


def _unused_season(found: Mapping[str, Any], span: float | None) -> Iterator[str]:
    """The longest season that a batch covers a part of and the reference has often enough."""
    for period in sorted(season.SECONDS, key=season.SECONDS.__getitem__, reverse=True):
        known = found["season"].get(period)
        often = known is not None and max(found["cycles"][period]) >= season.CYCLES
        if (
            known is not None
            and often
            and (span is None or span < season.MOST * season.SECONDS[period])
        ):
            yield (
                f"column {known['column']!r} follows the {period} ({100 * known['share']:.0f} % of "
                f"its variance) and `season` is null; write `season: {period}`"
            )
            return
