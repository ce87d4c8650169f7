"""Counters: each batch once, each test once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shiftwatch.status import BATCH_OUTCOMES, TEST_SECONDS_BOUNDS
from shiftwatch.tally import Tally
from shiftwatch.values import VERDICTS, Cost, Finding, Run, Skipped, TwoSampleResult
from tests import sample_runs


def _result(test: str, rows: int) -> TwoSampleResult:
    return TwoSampleResult(test, "x", "input", 0.1, 0.5, 0.1, None, None, 10 * rows, rows)


@pytest.mark.parametrize("name", sample_runs.every())
def test_every_run_is_one_batch_of_a_known_outcome(name: str) -> None:
    tally, run = Tally(), sample_runs.every()[name]
    tally.add_run(run)
    counts = tally.counts()
    assert sum(counts.batches.values()) == 1
    assert set(counts.batches) <= set(BATCH_OUTCOMES)
    assert sum(counts.tests.values()) == len(run.results) + len(run.skipped)
    assert counts.cpu_seconds == run.cost.cpu_seconds
    assert dict(counts.stage_seconds) == dict(run.cost.stages)
    assert counts.alarms == {d.scope: 1 for d in run.decisions if d.raised}


def test_verdicts_become_outcomes() -> None:
    outcomes = {}
    for verdict in VERDICTS:
        tally = Tally()
        tally.add_run(Run("m", sample_runs.batch(), verdict, 0.0))
        ((outcomes[verdict], count),) = tally.counts().batches.items()
        assert count == 1
    assert outcomes == {
        "shift": "tested",
        "no_shift": "tested",
        "insufficient_data": "too_small",
        "invalid_data": "schema_error",
        "error": "error",
    }


@pytest.mark.parametrize("code", ["unreadable", "incomplete"])
def test_a_file_that_cannot_be_read_is_no_fault_of_the_schema(code: str) -> None:
    tally = Tally()
    finding = Finding(code, "", "broken", "invalid")
    tally.add_run(Run("m", sample_runs.batch(), "invalid_data", 0.0, findings=(finding,)))
    assert tally.counts().batches == {"read_error": 1}


def test_tests_are_counted_as_run_skipped_or_failed() -> None:
    tally = Tally()
    skipped = (
        Skipped("ks", "x", "input", "constant"),
        Skipped("ks", "y", "input", "test_failed"),
        Skipped("mmd", "*", "input", "no_predictions"),
    )
    results = (_result("ks", 40), _result("ks", 50))
    run = Run("m", sample_runs.batch(), "error", 0.0, results=results, skipped=skipped)
    tally.add_run(run)
    tally.add_run(run)
    counts = tally.counts()
    assert counts.tests == {
        ("ks", "run"): 4,
        ("ks", "skipped"): 2,
        ("ks", "failed"): 2,
        ("mmd", "skipped"): 2,
    }
    assert counts.rows == {"current": 100, "reference": 1000}


def test_an_alarm_is_counted_when_it_rises_and_not_while_it_lasts() -> None:
    tally = Tally()
    raised = sample_runs.shift()
    lasting = replace(raised, decisions=tuple(replace(d, raised=False) for d in raised.decisions))
    for run in (raised, lasting, lasting):
        tally.add_run(run)
    rose = {decision.scope for decision in raised.decisions if decision.raised}
    assert rose
    assert tally.counts().alarms == dict.fromkeys(rose, 1)


def test_files_without_a_batch_are_counted_and_counts_are_copies() -> None:
    tally = Tally()
    before = tally.counts()
    tally.add_file("duplicate")
    tally.add_file("late")
    tally.add_file("late")
    assert tally.counts().batches == {"duplicate": 1, "late": 2}
    assert before.batches == {}


def test_cost_adds_up() -> None:
    tally = Tally()
    tests = {"ks": 0.004, "mmd": 0.5}
    cost = Cost(1.5, 2.0, 10, 5.0, "estimate", {"read": 0.5, "test": 1.0}, tests)
    for _ in range(3):
        tally.add_run(Run("m", sample_runs.batch(), "no_shift", 0.0, cost=cost))
    counts = tally.counts()
    assert counts.cpu_seconds == 4.5
    assert counts.stage_seconds == {"read": 1.5, "test": 3.0}
    assert counts.energy_joules == {"estimate": 15.0}
    ks, mmd = counts.test_seconds["ks"], counts.test_seconds["mmd"]
    assert ks.buckets[-1] == 3
    assert ks.total == pytest.approx(0.012)
    at_most = dict(zip(TEST_SECONDS_BOUNDS, mmd.buckets, strict=False))
    assert (at_most[0.3], at_most[1.0]) == (0, 3)


def test_a_check_that_was_made_smaller_is_counted_by_its_step() -> None:
    tally = Tally()
    finding = Finding("degraded", "", "fewer rows", "note")
    told = {"effort": {"step": "subsample", "max_rows": 1000, "given_up": []}}
    run = Run("m", sample_runs.batch(), "no_shift", 0.0, provenance=told)
    tally.add_run(run)
    tally.add_run(replace(run, findings=(finding,)))
    assert tally.counts().degraded == {"subsample": 1}
