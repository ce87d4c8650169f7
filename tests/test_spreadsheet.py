"""The CSV of a report: every result once, numbers whole, and no cell that does anything."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest

from shiftwatch.report import CSV_FIELDS, csv_table
from shiftwatch.values import Run
from tests import sample_runs


def read(run: Run) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(csv_table(run), newline=""), strict=True))


@pytest.mark.parametrize("name", sorted(sample_runs.every()))
def test_every_result_and_every_skip_is_a_line(name: str) -> None:
    run = sample_runs.every()[name]
    lines = read(run)
    told = sorted((line["scope"], line["target"], line["test"]) for line in lines)
    known = [(result.scope, result.target, result.test) for result in run.results]
    known += [(skip.scope, skip.target, skip.test) for skip in run.skipped]
    assert told == sorted(known)
    assert all(line["batch"] == run.batch.id for line in lines)


def test_numbers_have_all_their_digits() -> None:
    run = sample_runs.shift()
    lines = {(line["scope"], line["target"], line["test"]): line for line in read(run)}
    for result in run.results:
        line = lines[result.scope, result.target, result.test]
        assert float(line["p_value"]) == result.p_value
        assert float(line["statistic"]) == result.statistic
        assert line["effect_low"] == ("" if result.effect_low is None else repr(result.effect_low))
        assert line["skipped"] == ""


def test_columns_say_whether_they_moved_and_what_is_new_in_them() -> None:
    lines = read(sample_runs.shift())
    moved = {line["target"] for line in lines if line["moved"] == "yes"}
    assert {"price", "tenure", "plan"} <= moved
    assert {line["new_categories"] for line in lines if line["target"] == "plan"} == {
        "student-2026"
    }


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("+1", "'+1"),
        ("-1+1", "'-1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "\\t=1"),
        ('a"b,c', 'a"b,c'),
        ("two\r\nlines", "two\\r\\nlines"),
        ("turned\u202eback", "turned\\u202eback"),
        ("x" * 10_000, "x" * 10_000),
        (" spaced ", " spaced "),
    ],
)
def test_a_hostile_name_is_a_text_in_one_cell(name: str, shown: str) -> None:
    run = sample_runs.shift()
    hostile = replace(run, results=(replace(run.results[0], target=name),), skipped=(), columns=())
    (line,) = read(hostile)
    assert line["target"] == shown
    assert list(line) == list(CSV_FIELDS)
