"""The first line of a page: since when, what differs from what, and which columns carry it.

In:    a Run, and when past batches were.
Out:   a phrase; where nothing moved, the verdict as every other face says it.
Never: dates what is not dated; names a past for a comparison, which has none.
"""

from __future__ import annotations

from collections.abc import Mapping

from shiftwatch.contribution import Share, contribution
from shiftwatch.report.layers import crossed
from shiftwatch.report.loose import comparison
from shiftwatch.report.phrase import Name, Phrase, day_and_time, listed, percent, said
from shiftwatch.report.sentence import HOW, SCOPE_NOUNS, and_predictions, beside, verdict_phrase
from shiftwatch.values import Decision, Run

ENOUGH = 0.8
"""Columns are named until they carry this much together."""

_NAMED = 5


def headline(run: Run, moments: Mapping[str, float]) -> Phrase:
    """The verdict as a person would open a conversation with it.

    Parameters
    ----------
    run
        A judged batch, or a comparison.
    moments
        When past batches were, unix seconds by id.
    """
    moved = next((d for d in run.decisions if d.scope in _ASIDE and crossed(d)), None)
    if run.verdict != "shift" or moved is None:
        return verdict_phrase(run)
    # A semicolon after the columns, else the other scope would read as one more of them.
    return (*_differs(run, moved, moments), *_by_what(run, moved), *_ASIDE[moved.scope](run), ".")


def _differs(run: Run, moved: Decision, moments: Mapping[str, float]) -> Phrase:
    noun, how = SCOPE_NOUNS[moved.scope], HOW.get(crossed(moved), "")
    sides = comparison(run)
    if sides:
        current, reference = Name(sides["current"]), Name(sides["reference"])
        return (f"The {noun} of ", current, " differ from those of ", reference, f"{how}: ")
    begun = began_at(run, moved, moments)
    opening = "The" if begun is None else f"Since {day_and_time(begun)} UTC the"
    return (f"{opening} {noun} of {said(run.model)} differ from the reference{how}: ",)


def began_at(run: Run, decision: Decision, moments: Mapping[str, float]) -> float | None:
    """When a change is estimated to have begun, unix seconds; None where that is not known."""
    began = decision.change_from
    if began is None:
        return None
    if began == run.batch.id:
        start = run.batch.event_time_start
        return run.judged_at if start is None else start
    return moments.get(began)


def _by_what(run: Run, moved: Decision) -> Phrase:
    first = carriers(run, moved)
    if first:
        verb = "carries" if len(first) == 1 else "carry"
        return (*listed([each.column for each in first]), f" {verb} {part_of(first)} of it")
    if moved.columns:
        return (*listed(moved.columns), " moved")
    return ("the columns moved together, none stands out alone",)


def carriers(run: Run, moved: Decision) -> tuple[Share, ...]:
    """The columns that carry most of what differs in a scope; none where that says nothing.

    Shares are of this batch alone: where past batches raised the alarm for other columns than
    those that differ most in this one, they are no answer.
    """
    shares = contribution(run.results).get(moved.scope, ())
    if len(shares) < 2:
        return ()
    kept: list[Share] = []
    for each in shares[:_NAMED]:
        kept.append(each)
        if sum(share.share for share in kept) >= ENOUGH:
            break
    of_this_batch = "check" in crossed(moved)
    named = {each.column for each in kept} <= set(moved.columns)
    return tuple(kept) if of_this_batch or named else ()


def part_of(shares: tuple[Share, ...]) -> str:
    """What columns carry together, in per cent.

    Examples
    --------
    >>> part_of((Share("a", 0.613), Share("b", 0.2251)))
    '84 %'
    """
    return percent(round(sum(each.share for each in shares), 2))


def left_unnamed(run: Run, moved: Decision) -> tuple[str, ...]:
    """Columns that moved and that the headline does not name."""
    told = {each.column for each in carriers(run, moved)}
    return tuple(name for name in moved.columns if name not in told) if told else ()


def _beside_predictions(run: Run) -> Phrase:
    return beside(run, "input", "inputs")


_ASIDE = {"input": and_predictions, "prediction": _beside_predictions}
"""What is said of the other scope, by the scope that moved."""
