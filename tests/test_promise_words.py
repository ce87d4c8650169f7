"""The promise on false alarms in words: both units, at the pace at which batches came."""

from __future__ import annotations

import random
from typing import Any

import pytest

from shiftwatch.promise import luck_text, pace, promise_text, promised


@pytest.mark.parametrize(
    ("per_checks", "seconds", "per_days", "text"),
    [
        (1000, 300.0, None, "1000 checks: 1 in 3.5 days at one batch every 5 minutes"),
        (1000, 3600.0, None, "1000 checks: 1 in 42 days at one batch every hour"),
        (1000, None, None, "1000 checks"),
        (1000, 300.0, 180, "180 days: 1 in 51,840 checks at one batch every 5 minutes"),
        (1000, 86400.0, 30.0, "30 days: 1 in 30 checks at one batch every day"),
        (1000, 864000.0, 1, "1 day: 1 in 1 check at one batch every 10 days"),
        (1000, None, 0.5, "0.5 days"),
    ],
)
def test_the_promise_is_said_in_both_units(
    per_checks: int, seconds: float | None, per_days: float | None, text: str
) -> None:
    told = promise_text(per_checks, seconds, per_days=per_days)
    assert told == f"at most 1 expected false alarm in {text}"


def points(*judged: float, events: tuple[float | None, ...] = ()) -> list[dict[str, Any]]:
    return [
        {"judged_at": at, "event_time_end": events[place] if events else None}
        for place, at in enumerate(judged)
    ]


def test_the_pace_is_the_median_gap_in_any_order() -> None:
    shuffled = points(*(300.0 * number for number in range(20)), 90_000.0)
    random.Random(3).shuffle(shuffled)
    assert pace(shuffled) == 300.0


def test_events_give_the_pace_of_a_backlog_that_is_judged_at_once() -> None:
    events = tuple(3600.0 * number for number in range(6))
    assert pace(points(*(float(n) for n in range(6)), events=events)) == 3600.0


def test_a_batch_without_event_times_makes_all_be_taken_by_their_checks() -> None:
    events = (0.0, None, 7200.0, 10800.0)
    assert pace(points(0.0, 60.0, 120.0, 180.0, events=events)) == 60.0


def test_only_the_newest_batches_count() -> None:
    slow = [float(86_400 * number) for number in range(100)]
    fast = [slow[-1] + 60.0 * number for number in range(1, 51)]
    assert pace(points(*slow, *fast)) == 60.0


@pytest.mark.parametrize("judged", [(), (0.0,), (0.0, 60.0), (5.0, 5.0, 5.0)])
def test_no_pace_is_made_up(judged: tuple[float, ...]) -> None:
    assert pace(points(*judged)) is None
    assert promised(points(*judged), 50) == "at most 1 expected false alarm in 50 checks"


def test_a_lucky_reference_is_never_said_to_keep_less_than_the_promise() -> None:
    assert "below 1.0 times the promise" in luck_text(0.3)
