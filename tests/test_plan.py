"""Cutting files into batches: every row once, in order, whatever happens in between."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shiftwatch.settings import ByRows, ByTime, WindowSettings
from shiftwatch.source.plan import (
    MAX_BATCHES_PER_FILE,
    MAX_WINDOWS_PER_FILE,
    Cursor,
    acceptable,
    advance,
    batch_id,
    late_rows,
    order,
    plan,
)
from shiftwatch.values import Batch, FileFacts, Piece

BY_FILE = WindowSettings()
BY_HOUR = WindowSettings(by=ByTime("1h"))


def by_rows(rows: int) -> WindowSettings:
    return WindowSettings(by=ByRows(rows))


def facts(
    name: str,
    rows: int = 10,
    times: tuple[float, float] | None = None,
    fault: str | None = None,
) -> FileFacts:
    low, high = times if times is not None else (None, None)
    sha256 = f"sha of {name}"
    return FileFacts(name, 100, 1, sha256, rows, time_min=low, time_max=high, fault=fault)


def work_off(
    files: Sequence[FileFacts], window: WindowSettings, cursor: Cursor
) -> tuple[list[Batch], Cursor]:
    """Judge what is due and check that planning again gives the rest only."""
    due = plan(files, window, cursor)
    for done, batch in enumerate(due):
        if done in (0, len(due) // 2):
            assert plan(files, window, cursor) == due[done:]
        cursor = advance(cursor, batch)
    assert plan(files, window, cursor) == ()
    return list(due), cursor


lengths = st.lists(st.integers(0, 120), max_size=8)


def files_of(rows: Sequence[int]) -> list[FileFacts]:
    return [facts(f"f{index}", count) for index, count in enumerate(rows)]


def rows_of(batches: Sequence[Batch]) -> list[tuple[str, int]]:
    return [
        (piece.uri, row)
        for batch in batches
        for piece in batch.pieces
        for row in range(piece.first_row, piece.first_row + piece.rows)
    ]


# By file ----------------------------------------------------------------------------------------


def test_by_file_each_file_is_a_batch_with_its_event_times() -> None:
    files = [facts("b", 3, (5.0, 9.0)), facts("a", 4)]
    due = plan(files, BY_FILE, Cursor())
    assert [(b.uri, b.rows, b.event_time_start, b.event_time_end) for b in due] == [
        ("b", 3, 5.0, 9.0),
        ("a", 4, None, None),
    ]
    assert due[0].pieces == (Piece("b", 100, "sha of b", 0, 3),)


@given(lengths)
def test_by_file_every_file_is_judged_once_in_order(rows: list[int]) -> None:
    files = files_of(rows)
    batches, _ = work_off(files, BY_FILE, Cursor())
    assert [batch.uri for batch in batches] == [file.uri for file in files]
    assert rows_of(batches) == [(f.uri, row) for f in files for row in range(f.rows)]


def test_by_file_a_faulty_file_is_a_batch_with_its_fault() -> None:
    (batch,) = plan([facts("a", 0, fault="no readable footer")], BY_FILE, Cursor())
    assert (batch.fault, batch.rows) == ("no readable footer", 0)


def test_a_file_without_rows_is_still_answered_for() -> None:
    (batch,) = plan([facts("a", 0)], BY_FILE, Cursor())
    assert (batch.rows, batch.fault) == (0, None)


@pytest.mark.parametrize("window", [BY_FILE, by_rows(30), BY_HOUR])
def test_of_files_with_the_same_bytes_only_the_first_counts(window: WindowSettings) -> None:
    first = facts("a", 60, (0.0, 9000.0))
    again = replace(first, uri="b")
    assert plan([first, again], window, Cursor()) == plan([first], window, Cursor()) != ()


def test_the_same_bytes_below_other_partition_folders_are_other_rows() -> None:
    monday = replace(facts("in/day=1/x.parquet"), sha256="same")
    tuesday = replace(monday, uri="in/day=2/x.parquet")
    assert len(plan([monday, tuesday], BY_FILE, Cursor())) == 2


# By rows ----------------------------------------------------------------------------------------


def test_by_rows_a_batch_spans_files_and_the_tail_waits() -> None:
    files = [facts("a", 50, (0.0, 1.0)), facts("b", 0), facts("c", 45, (2.0, 3.0))]
    first, second, third = plan(files, by_rows(30), Cursor())
    assert [(p.uri, p.first_row, p.rows) for p in first.pieces] == [("a", 0, 30)]
    assert [(p.uri, p.first_row, p.rows) for p in second.pieces] == [("a", 30, 20), ("c", 0, 10)]
    assert [(p.uri, p.first_row, p.rows) for p in third.pieces] == [("c", 10, 30)]
    assert (second.event_time_start, second.event_time_end) == (0.0, 3.0)


@given(lengths, st.integers(30, 90))
def test_by_rows_every_row_is_in_one_batch_or_waits_in_the_tail(rows: list[int], size: int) -> None:
    files = files_of(rows)
    batches, cursor = work_off(files, by_rows(size), Cursor())
    everything = [(f.uri, row) for f in files for row in range(f.rows)]
    assert all(batch.rows == size for batch in batches)
    assert rows_of(batches) == everything[: len(everything) // size * size]
    assert cursor.rows_done == len(batches) * size


@given(lengths, st.integers(30, 90), st.data())
def test_by_rows_it_does_not_matter_when_files_arrive(
    rows: list[int], size: int, data: st.DataObject
) -> None:
    files = files_of(rows)
    at_once, _ = work_off(files, by_rows(size), Cursor())
    cursor, one_by_one = Cursor(), list[Batch]()
    for seen in range(len(files) + 1):
        if data.draw(st.booleans()) or seen == len(files):
            batches, cursor = work_off(files[:seen], by_rows(size), cursor)
            one_by_one += batches
    assert [batch.id for batch in one_by_one] == [batch.id for batch in at_once]


def test_by_rows_a_faulty_file_is_a_batch_of_its_own_and_takes_no_rows() -> None:
    files = [facts("a", 20), facts("bad", 7, fault="broken"), facts("c", 20)]
    batches, cursor = work_off(files, by_rows(30), Cursor())
    assert [(b.fault, b.rows) for b in batches] == [("broken", 0), (None, 30)]
    assert cursor.rows_done == 30


# By time ----------------------------------------------------------------------------------------


def test_by_time_only_closed_windows_are_due() -> None:
    files = [facts("a", 10, (10.0, 3700.0)), facts("b", 5, (3600.0, 7199.9))]
    (batch,) = plan(files, BY_HOUR, Cursor())
    assert (batch.event_time_start, batch.event_time_end, batch.rows) == (0.0, 3600.0, 10)
    assert [(p.uri, p.time_from, p.time_to) for p in batch.pieces] == [("a", 0.0, 3600.0)]
    closing = facts("c", 1, (7200.0, 7200.0))
    later = plan([*files, closing], BY_HOUR, advance(Cursor(), batch))
    assert [(b.event_time_start, [p.uri for p in b.pieces]) for b in later] == [
        (3600.0, ["a", "b"])
    ]


def test_by_time_empty_windows_between_make_no_batch() -> None:
    files = [facts("a", 10, (0.0, 1.0)), facts("b", 10, (1e9, 1e9 + 3600))]
    starts = [batch.event_time_start for batch in plan(files, BY_HOUR, Cursor())]
    assert starts == [0.0, math.floor(1e9 / 3600) * 3600.0]


Times = Mapping[str, list[float]]

event_times = st.dictionaries(
    st.sampled_from(["a", "b", "c", "d", "e"]),
    st.lists(
        st.one_of(
            st.integers(-9, 60).map(lambda k: k * 720.0),
            st.floats(-7200, 43200),
            st.just(math.nextafter(3600, 0)),
        ),
        min_size=1,
        max_size=8,
    ),
)
window_lengths = st.sampled_from(["1h", "720s", "0.7h", "1000.1s"])


def timed_files(times: Times) -> list[FileFacts]:
    return [facts(name, len(ts), (min(ts), max(ts))) for name, ts in times.items()]


def timed_rows(batches: Sequence[Batch], times: Times) -> Counter[tuple[str, int]]:
    return Counter(
        (piece.uri, row)
        for batch in batches
        for piece in batch.pieces
        for row, time in enumerate(times[piece.uri])
        if piece.time_from is not None
        and piece.time_to is not None
        and piece.time_from <= time < piece.time_to
    )


@given(event_times, window_lengths)
def test_by_time_every_row_is_in_one_batch_or_waits_for_its_window_to_close(
    times: Times, length: str
) -> None:
    window = ByTime(length)
    batches, _ = work_off(timed_files(times), WindowSettings(by=window), Cursor())
    starts = [batch.event_time_start or 0.0 for batch in batches]
    assert starts == sorted(starts)
    counted = timed_rows(batches, times)
    last = max((time for ts in times.values() for time in ts), default=0.0)
    for name, ts in times.items():
        for row, time in enumerate(ts):
            if counted[name, row] == 0:
                # Waits: it lies in the window of the newest row.
                assert last - time <= window.seconds * (1 + 1e-9)
            else:
                assert counted[name, row] == 1


@given(event_times, window_lengths)
def test_by_time_a_row_is_lost_only_from_a_file_that_is_reported_as_late(
    times: Times, length: str
) -> None:
    window = WindowSettings(by=ByTime(length))
    files = timed_files(times)
    cursor, batches, late = Cursor(), list[Batch](), set[str]()
    for seen in range(1, len(files) + 1):
        if late_rows(files[seen - 1], cursor.time_done):
            late.add(files[seen - 1].uri)
        due, cursor = work_off(files[:seen], window, cursor)
        batches += due
    counted = timed_rows(batches, times)
    assert max(counted.values(), default=1) == 1
    for name, ts in times.items():
        lost = [t for row, t in enumerate(ts) if (name, row) not in counted]
        if name not in late and cursor.time_done is not None:
            assert all(time >= cursor.time_done for time in lost)


def test_by_time_another_length_starts_where_judging_stopped() -> None:
    files = [facts("a", 10, (0.0, 20_000.0))]
    (first, *_) = plan(files, BY_HOUR, Cursor())
    (second, *_) = plan(files, WindowSettings(by=ByTime("2h")), advance(Cursor(), first))
    assert (second.event_time_start, second.event_time_end) == (3600.0, 7200.0)
    assert second.pieces[0].time_from == 3600.0


def test_by_time_rows_without_any_event_time_are_a_fault_and_not_forgotten() -> None:
    (batch,) = plan([facts("a", 10)], BY_HOUR, Cursor())
    assert batch.fault == "no row has an event time, so none belongs to a time window"
    assert plan([facts("a", 0)], BY_HOUR, Cursor()) == ()


def test_by_time_a_wrong_event_time_far_away_cannot_make_millions_of_windows() -> None:
    span = (MAX_WINDOWS_PER_FILE + 1) * 3600.0
    wrong, right = facts("wrong", 10, (0.0, span)), facts("right", 10, (7200.0, 10_900.0))
    faulty, good = plan([wrong, right], BY_HOUR, Cursor())
    assert faulty.fault == "event times span 417 days, more than 10000 time windows"
    assert (faulty.rows, good.uri, good.fault) == (0, "right", None)


def test_by_rows_a_footer_that_lies_cannot_fill_the_memory_with_batches() -> None:
    most = MAX_BATCHES_PER_FILE * 30
    window = by_rows(30)
    lie, right = facts("lie", 2**40), facts("right", 60)
    faulty, first, second = plan([lie, right], window, Cursor())
    assert faulty.fault == "1099511627776 rows are more than 100000 batches of 30"
    assert (faulty.rows, first.uri, second.uri) == (0, "right", "right")
    refused = acceptable(lie, window)
    assert (refused.rows, refused.fault) == (0, faulty.fault)  # so the store does not count them
    assert acceptable(facts("right", most), window).fault is None
    for any_other in (BY_FILE, BY_HOUR):
        assert acceptable(lie, any_other) == lie
    broken = facts("broken", 0, fault="no readable footer")
    assert acceptable(broken, window) == broken


# Faults -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("window", [BY_FILE, by_rows(30), BY_HOUR])
def test_broken_files_with_the_same_bytes_are_each_a_batch(window: WindowSettings) -> None:
    empty = replace(facts("a", 0, fault="no readable footer"), size=0)
    files = [empty, replace(empty, uri="b"), replace(empty, uri="c")]
    batches, _ = work_off(files, window, Cursor())
    assert [(batch.uri, batch.fault) for batch in batches] == [(u, empty.fault) for u in "abc"]


@pytest.mark.parametrize("window", [BY_FILE, by_rows(30), BY_HOUR])
def test_a_broken_file_that_is_touched_or_replaced_is_another_batch(window: WindowSettings) -> None:
    broken = facts("a", 0, fault="no readable footer")
    _, cursor = work_off([broken], window, Cursor())
    touched = replace(broken, modified_ns=2)
    longer = replace(broken, size=101, sha256="other")
    assert len(plan([touched], window, cursor)) == 1
    assert len(plan([broken, longer], window, cursor)) == 1
    assert plan([broken], window, cursor) == ()


def test_a_broken_file_and_a_good_one_of_the_same_bytes_are_two_batches() -> None:
    files = [facts("a", fault="no column 'at'"), facts("a")]
    assert [batch.fault for batch in plan(files, BY_FILE, Cursor())] == ["no column 'at'", None]


# Forgotten files --------------------------------------------------------------------------------


@given(lengths, lengths, st.integers(30, 90), st.data())
def test_by_rows_judged_files_may_be_dropped_if_their_rows_are_told(
    old: list[int], new: list[int], size: int, data: st.DataObject
) -> None:
    files = files_of([*old, *new])
    before, cursor = work_off(files[: len(old)], by_rows(size), Cursor())
    ends = list(accumulate(old))
    dropped = [
        i for i, end in enumerate(ends) if end <= cursor.rows_done and data.draw(st.booleans())
    ]
    left = [file for index, file in enumerate(files) if index not in dropped]
    cursor = replace(cursor, rows_forgotten=sum(old[index] for index in dropped))
    after, cursor = work_off(left, by_rows(size), cursor)
    everything = [(f.uri, row) for f in files for row in range(f.rows)]
    assert rows_of([*before, *after]) == everything[: len(everything) // size * size]
    assert cursor.rows_done == len(everything) // size * size


# Order, ids, late rows --------------------------------------------------------------------------


def test_new_files_are_ordered_by_event_time_then_by_path() -> None:
    files = [facts("z"), facts("a"), facts("y", times=(5.0, 9.0)), facts("b", times=(7.0, 8.0))]
    assert [file.uri for file in order(files)] == ["y", "b", "a", "z"]
    negative = [facts("n"), facts("m", times=(-5.0, 0.0)), facts("k", times=(0.0, 0.0))]
    assert [file.uri for file in order(negative)] == ["m", "k", "n"]


def test_a_batch_id_is_16_hex_digits_that_change_with_bytes_and_cuts_only() -> None:
    piece = Piece("a/x.parquet", 100, "abc", 0, 50)
    assert batch_id([piece]) == batch_id([replace(piece, uri="b/y.parquet")])
    others = [
        [replace(piece, sha256="abe")],
        [replace(piece, first_row=1)],
        [replace(piece, rows=49)],
        [replace(piece, time_from=0.0, time_to=1.0)],
        [replace(piece, time_from=0.0, time_to=2.0)],
        [piece, piece],
        [replace(piece, uri="day=1/x.parquet")],
    ]
    ids = {batch_id([piece]), *map(batch_id, others)}
    assert len(ids) == len(others) + 1
    assert all(len(each) == 16 and int(each, 16) >= 0 for each in ids)


def test_unreadable_files_are_told_apart_by_their_paths() -> None:
    files = [replace(facts(name, 0, fault="gone"), sha256="") for name in ("a", "b")]
    assert [batch.uri for batch in plan(files, BY_FILE, Cursor())] == ["a", "b"]


def test_rows_are_late_if_they_lie_before_the_end_of_the_last_judged_window() -> None:
    assert late_rows(facts("a", times=(3599.0, 4000.0)), 3600.0)
    assert not late_rows(facts("a", times=(3600.0, 4000.0)), 3600.0)
    assert not late_rows(facts("a", times=(0.0, 1.0)), None)
    assert not late_rows(facts("a"), 3600.0)
