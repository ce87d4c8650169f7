"""Hours of a day or a week: which rows belong to a batch's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from shiftwatch import season
from shiftwatch.season import Arc, Season

HOUR, DAY = 3600.0, 86_400.0


def _at(*parts: int) -> float:
    return datetime(*parts, tzinfo=UTC).timestamp()  # type: ignore[misc,arg-type] # a date


def test_an_arc_holds_the_rows_of_its_hours_and_nothing_else() -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    moments = [start + timedelta(minutes=7 * step) for step in range(3000)]
    times = np.array([moment.timestamp() for moment in moments])
    held = Arc("day", 22, 4).holds(times)
    assert held.tolist() == [moment.hour in (22, 23, 0, 1) for moment in moments]
    held = Arc("week", 24 * 4 + 8, 2).holds(times)
    assert held.tolist() == [m.weekday() == 4 and m.hour in (8, 9) for m in moments]
    assert not Arc("day", 0, 24).holds(np.array([np.nan])).any()


def test_a_night_is_one_cycle_though_midnight_is_in_it() -> None:
    arc = Arc("day", 22, 4)
    evening, morning = _at(2026, 3, 1, 23), _at(2026, 3, 2, 1)
    first, second, third = arc.cycles(np.array([evening, morning, evening + DAY]))
    assert first == second
    assert third == first + 1


@pytest.mark.parametrize("late", [-300.0, 0.0, 20.0, 300.0])
def test_a_batch_that_ends_a_little_late_has_the_same_hours(late: float) -> None:
    start = _at(2026, 5, 5, 6)
    assert season.arc("day", start + late, start + 6 * HOUR + late) == Arc("day", 6, 6)


def test_a_batch_of_a_moment_has_an_hour_and_one_of_most_of_a_day_has_no_phase() -> None:
    noon = _at(2026, 5, 5, 12, 30)
    assert season.arc("day", noon, noon) == Arc("day", 12, 1)
    assert season.arc("day", noon, noon + 18 * HOUR) is None
    assert season.arc("week", noon, noon + 18 * HOUR) == Arc("week", 24 + 12, 18 + 1)


def test_arcs_are_few_and_stable_over_time() -> None:
    named: set[str] = set()
    for day in range(60):
        start = _at(2026, 1, 1) + day * DAY
        for hour in (0, 6):
            found = season.arc("day", start + hour * HOUR, start + (hour + 6) * HOUR - 30)
            named.add(found.name if found is not None else "all")
    assert named == {"day-00-06", "day-06-12"}


def test_cycles_are_counted_by_hour() -> None:
    times = np.concatenate(
        [_at(2026, 1, 1) + day * DAY + HOUR * np.arange(8, 12) for day in (0, 2)]
    )
    by_hour = season.cycles_by_hour("day", np.append(times, np.nan))
    assert by_hour == [2 if 8 <= hour < 12 else 0 for hour in range(24)]
    assert season.cycles_of(Arc("day", 6, 3), by_hour) == 2
    assert season.cycles_of(Arc("day", 20, 3), by_hour) == 0


@pytest.mark.parametrize("period", ["day", "week"])
def test_a_season_is_found_with_its_share_of_the_variance(period: Season) -> None:
    rng = np.random.default_rng(6)
    size = season.SECONDS[period]
    times = np.sort(rng.uniform(0, 30 * size, 20_000))
    wave = 0.7 * np.sin(2 * np.pi * times / size)
    found = season.Table.of(period, times).share(wave + rng.standard_normal(times.size))
    assert found == pytest.approx(0.245 / 1.245, abs=0.04)


@pytest.mark.parametrize("period", ["day", "week"])
def test_no_season_is_found_in_rows_that_only_depend_on_each_other(period: Season) -> None:
    rng = np.random.default_rng(7)
    size = season.SECONDS[period]
    walk = np.cumsum(rng.standard_normal(20_000)) / 30
    slow = np.convolve(rng.standard_normal(20_200), np.ones(200), mode="valid")[:20_000]
    times = np.linspace(0, 30 * size, 20_000)
    assert season.Table.of(period, times).share(slow) == 0.0
    assert season.Table.of(period, times).share(walk) == 0.0
    assert season.Table.of(period, times).share(np.ones(20_000)) == 0.0
    assert season.Table.of(period, times[:10]).share(slow[:10]) == 0.0
    assert season.Table.of(period, times[:0]).share(slow[:0]) == 0.0
