"""What a person asks after the verdict: since when, how much of it where, and does it matter.

In:    a Run.
Out:   sentences as phrases, those that can be said.
Never: says a number that does not follow from the run; guesses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from shiftwatch.report.details import is_number
from shiftwatch.report.headline import carriers, left_unnamed, part_of
from shiftwatch.report.layers import crossed
from shiftwatch.report.loose import comparison
from shiftwatch.report.phrase import Name, Phrase, listed, number, percent, said, when
from shiftwatch.values import PROFILE_QUANTILES, ColumnProfile, Decision, Run, Scope

_MEDIAN = PROFILE_QUANTILES.index(0.5)


def lead(run: Run) -> tuple[Phrase, ...]:
    """The sentences below the verdict where there is no timeline; none where nothing has moved."""
    moved = [decision for decision in run.decisions if crossed(decision)]
    if not moved:
        return tuple(_performance(run))
    found = [*_since(run), *_carried(run), *_predictions(run), *_performance(run)]
    return tuple(found)


def after_headline(run: Run) -> tuple[Phrase, ...]:
    """The sentences below a headline that has said since when and which columns carry it."""
    found = [*_also(run), *_predictions(run), *_performance(run)]
    return tuple(found)


def _since(run: Run) -> Iterator[Phrase]:
    began = next((d.change_from for d in run.decisions if crossed(d) and d.change_from), None)
    if began == run.batch.id and not comparison(run):
        yield (f"It begins with this batch, of {_own_date(run)} UTC.",)


def _own_date(run: Run) -> str:
    return when(run.batch.event_time_start) or when(run.judged_at)


def _carried(run: Run) -> Iterator[Phrase]:
    for decision in _moved(run, "input"):
        first = carriers(run, decision)
        if first:
            verb = "carries" if len(first) == 1 else "carry"
            names = listed([each.column for each in first])
            yield (*names, f" {verb} {part_of(first)} of what differs in the inputs.")


def _also(run: Run) -> Iterator[Phrase]:
    for decision in _moved(run, "input"):
        others = left_unnamed(run, decision)
        if others:
            yield ("Also moved: ", *listed(others), ".")


def _moved(run: Run, scope: Scope) -> Iterator[Decision]:
    return (d for d in run.decisions if d.scope == scope and crossed(d))


# --- predictions -------------------------------------------------------------------------------


def _predictions(run: Run) -> Iterator[Phrase]:
    profiles = {profile.name: profile for profile in run.columns if profile.role == "prediction"}
    for name in [name for decision in _moved(run, "prediction") for name in decision.columns][:1]:
        told = prediction_movement(profiles[name]) if name in profiles else ()
        if told:
            yield told


def prediction_movement(column: ColumnProfile) -> Phrase:
    """How far a prediction moved; empty where its profile does not say.

    Examples
    --------
    >>> from shiftwatch.report.phrase import plain
    >>> sides = {"quantiles_reference": (0, 0, 0, .31, 1, 1, 1), "quantiles_current": (0, 0, 0, .35, 1, 1, 1)}
    >>> plain(prediction_movement(
    ...     ColumnProfile("p", "numeric", "prediction", "double", 9, 9, 0, 0, **sides)))
    'The median of `p` moved up by 0.04, from 0.31 to 0.35.'
    """
    if column.kind == "categorical":
        return _most_moved_category(column)
    sides = (column.quantiles_reference, column.quantiles_current)
    if any(len(side) != len(PROFILE_QUANTILES) for side in sides):
        return ()
    before, now = (side[_MEDIAN] for side in sides)
    change = f"{abs(now - before):.2g}"
    if before == now:
        return ("The median of ", Name(column.name), f" is still {number(now)}.")
    way = "up" if now > before else "down"
    far = f" moved {way} by {number(float(change))}, from {number(before)} to {number(now)}."
    return ("The median of ", Name(column.name), far)


def _most_moved_category(column: ColumnProfile) -> Phrase:
    before, now = (_parts(counts) for counts in (column.counts_reference, column.counts_current))
    if not (before and now and len(before) == len(now) == len(column.categories)):
        return ()
    place = max(range(len(now)), key=lambda k: abs(now[k] - before[k]))
    moved = f" went from {percent(before[place])} to {percent(now[place])} of the answers "
    return (Name(column.categories[place]), moved, "of ", Name(column.name), ".")


def _parts(counts: Sequence[int]) -> list[float]:
    total = sum(counts)
    return [count / total for count in counts] if total else []


# --- does it matter ----------------------------------------------------------------------------


def performance(run: Run) -> Mapping[str, Any]:
    """The estimate of the model's performance on this batch; empty where there is none."""
    given = run.explanation.get("performance")
    needed = ("reference", "estimate", "change_low", "change_high")
    if not isinstance(given, Mapping) or not all(is_number(given.get(key)) for key in needed):
        return {}
    return given


def _performance(run: Run) -> Iterator[Phrase]:
    found = performance(run)
    if found:
        yield (change_text(found),)


def change_text(found: Mapping[str, Any]) -> str:
    """The estimated change in words.

    Examples
    --------
    >>> change_text({"metric": "accuracy", "change_low": -0.031, "change_high": -0.012})
    'Estimated accuracy falls by 1.2 to 3.1 points.'
    >>> change_text({"metric": "accuracy", "change_low": -0.01, "change_high": 0.004})
    'Estimated accuracy stays as it was, give or take: -1 to +0.4 points.'
    >>> change_text({"metric": "mean absolute error", "change_low": 0.5, "change_high": 1.25})
    'Estimated mean absolute error rises by 0.5 to 1.25.'
    """
    metric = said(str(found.get("metric", "performance")), 40)
    low, high = float(found["change_low"]), float(found["change_high"])
    unit, scale = (" points", 100.0) if metric == "accuracy" else ("", 1.0)
    low, high = (float(f"{scale * value:.3g}") for value in (low, high))
    if low <= 0 <= high:
        return f"Estimated {metric} stays as it was, give or take: {low:+g} to {high:+g}{unit}."
    way = "rises" if low > 0 else "falls"
    small, large = sorted((abs(low), abs(high)))
    return f"Estimated {metric} {way} by {small:g} to {large:g}{unit}."
