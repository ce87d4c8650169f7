"""Derived columns: what is derived from what, and their values."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from shiftwatch.derive import MANY, absence, entries, to_read, with_derived
from shiftwatch.errors import DataError
from shiftwatch.sample import Column, Sample, categorical, numeric
from shiftwatch.values import Role, SchemaColumn

DAY = 86_400.0
MONDAY = datetime(2024, 1, 1, tzinfo=UTC).timestamp()


def times(name: str, values: list[float] | np.ndarray, role: Role = "input") -> Column:
    array = np.asarray(values, dtype=np.float64)
    return Column(name, "timestamp", role, "timestamp[us]", array, ~np.isnan(array))


def sample_of(*columns: Column) -> tuple[Sample, list[SchemaColumn]]:
    schema = [SchemaColumn(c.name, c.kind, c.role, c.type) for c in columns]
    return Sample(columns[0].rows, columns), schema


def derived(*columns: Column) -> Sample:
    """The sample with everything that would be derived, were it the reference."""
    sample, schema = sample_of(*columns)
    return with_derived(sample, [*schema, *entries(sample, schema)])


def names(*columns: Column) -> list[str]:
    sample, schema = sample_of(*columns)
    return [entry.name for entry in entries(sample, schema)]


UNIQUE = categorical("id", [f"user-{number}" for number in range(80)])


def test_texts_of_many_categories_or_mostly_unique_ones_get_three_columns() -> None:
    three = ["id.length", "id.digits", "id.non_ascii"]
    assert names(UNIQUE) == three
    repeated = [f"user-{number}" for number in range(MANY + 1)] * 5
    assert names(categorical("id", repeated)) == three
    assert names(categorical("id", repeated[:100] * 5)) == []
    assert names(categorical("id", [f"user-{number}" for number in range(40)])) == []
    assert names(numeric("id", np.arange(2000.0))) == []


def test_whole_numbers_as_categories_are_no_texts() -> None:
    codes = categorical("code", [str(number) for number in range(2000)])
    whole = Column(
        "code", "categorical", "input", "int64", codes.values, codes.valid, codes.categories
    )
    assert names(whole) == []


def test_length_and_shares_are_those_of_each_text() -> None:
    odd = ["", "a1b2", "\u00e4\u00f6", "\U0001f600x", "12345", None, "\udcff7"]
    column = categorical("id", [*odd, *(f"pad{number}" for number in range(60))])
    found = derived(column)
    expected = {
        "length": [0, 4, 2, 2, 5, math.nan, 2],
        "digits": [0, 0.5, 0, 0, 1, math.nan, 0.5],
        "non_ascii": [0, 0, 1, 0.5, 0, math.nan, 0.5],
    }
    for part, values in expected.items():
        np.testing.assert_array_equal(found.column(f"id.{part}").values[: len(odd)], values)
    assert found.column("id.length").nulls == 1


def test_a_column_that_has_the_dotted_name_is_not_replaced() -> None:
    own = numeric("id.length", np.arange(80.0))
    assert names(UNIQUE, own) == ["id.digits", "id.non_ascii"]
    np.testing.assert_array_equal(derived(UNIQUE, own).column("id.length").values, np.arange(80.0))


def test_columns_of_no_tested_role_derive_nothing() -> None:
    key = Column(
        "id", "categorical", "id", "string", UNIQUE.values, UNIQUE.valid, UNIQUE.categories
    )
    assert names(key, times("at", MONDAY + np.arange(100) * DAY, "time")) == []


def test_hours_and_weekdays_are_those_of_the_calendar_in_utc() -> None:
    start = datetime(1965, 3, 3, 17, 30, tzinfo=UTC)
    moments = [start + timedelta(hours=7 * step) for step in range(2400)]
    found = derived(times("at", [moment.timestamp() for moment in moments]))
    hour, weekday = found.column("at.hour"), found.column("at.weekday")
    covered = [moments[row] for row in np.flatnonzero(hour.valid)]
    assert [hour.categories[code] for code in hour.present] == [f"{m:%H}" for m in covered]
    covered = [moments[row] for row in np.flatnonzero(weekday.valid)]
    expected = [f"{m:%a}" for m in covered]
    assert [weekday.categories[code] for code in weekday.present] == expected


def test_only_the_last_whole_days_and_weeks_are_looked_at() -> None:
    found = derived(times("at", MONDAY + np.arange(0, 10.25 * DAY, 900)))
    hours = np.bincount(found.column("at.hour").present)
    assert hours.tolist() == [40] * 24
    weekdays = np.bincount(found.column("at.weekday").present)
    assert weekdays.tolist() == [96] * 7


def test_a_batch_of_one_day_ends_before_midnight_and_still_shows_its_hours() -> None:
    reference, schema = sample_of(times("at", MONDAY + np.arange(0, 28 * DAY, 600)))
    schema += entries(reference, schema)
    day, _ = sample_of(times("at", MONDAY + np.arange(0, DAY, 300)))
    found = with_derived(day, schema)
    assert found.column("at.hour").nulls == 0
    assert not found.has("at.weekday")
    (weekday,) = [entry for entry in schema if entry.name == "at.weekday"]
    assert absence(weekday, found, {}) == "span_too_short"


def test_a_reference_of_less_than_a_day_derives_no_hours() -> None:
    assert names(times("at", MONDAY + np.arange(0, DAY / 2, 60))) == []


def test_the_lag_is_arrival_minus_event_in_seconds() -> None:
    event = times("event", [MONDAY, MONDAY + 60, math.nan], "time")
    arrival = times("arrival", [MONDAY + 2.5, MONDAY + 50, MONDAY], "arrival")
    sample, schema = sample_of(numeric("x", [1.0, 2.0, 3.0]), event, arrival)
    (entry,) = entries(sample, schema)
    assert (entry.name, entry.derived_from, entry.role) == ("arrival.lag", "arrival", "input")
    lag = with_derived(sample, [*schema, entry]).column("arrival.lag")
    np.testing.assert_array_equal(lag.values, [2.5, -10.0, math.nan])
    read = {column.name: column.role for column in to_read([*schema, entry])}
    assert read == {"x": "input", "event": "input", "arrival": "input"}


def test_times_are_read_for_a_lag_only() -> None:
    _, schema = sample_of(numeric("x", [1.0]), times("event", [MONDAY], "time"))
    assert [column.role for column in to_read(schema)] == ["input", "time"]


def test_an_arrival_that_is_no_timestamp_is_refused_by_name() -> None:
    text = categorical("arrival", ["soon"], "arrival")
    sample, schema = sample_of(times("event", [MONDAY], "time"), text)
    with pytest.raises(DataError, match="'arrival' is string"):
        entries(sample, schema)


def test_a_missing_source_is_named_by_its_own_reason() -> None:
    sample, schema = sample_of(UNIQUE)
    found = entries(sample, schema)
    empty = with_derived(Sample(80, ()), [*schema, *found])
    assert empty.columns == ()
    assert absence(found[0], empty, {"id": "changed_type"}) == "changed_type"


def test_a_batch_without_a_value_has_empty_derived_columns() -> None:
    reference, schema = sample_of(UNIQUE, times("at", MONDAY + np.arange(80) * DAY))
    schema += entries(reference, schema)
    gone, _ = sample_of(categorical("id", [None] * 40), times("at", [math.nan] * 40))
    found = with_derived(gone, schema)
    for name in ("id.length", "id.digits", "at.hour", "at.weekday"):
        assert found.column(name).nulls == 40


def test_a_date_has_a_weekday_and_no_hour() -> None:
    days = np.asarray(MONDAY + np.arange(70) * DAY, dtype=np.float64)
    date = Column("day", "timestamp", "input", "date32[day]", days, np.ones(70, dtype=np.bool_))
    assert names(date) == ["day.weekday"]
    weekday = derived(date).column("day.weekday")
    assert np.bincount(weekday.present).tolist() == [10] * 7


def test_a_clock_at_zero_makes_no_day_of_an_hour() -> None:
    reference, schema = sample_of(times("at", MONDAY + np.arange(0, 28 * DAY, 600)))
    schema += entries(reference, schema)
    hour, _ = sample_of(times("at", [0.0, *(MONDAY + np.arange(0, 3600, 10))]))
    assert with_derived(hour, schema).columns == hour.columns
