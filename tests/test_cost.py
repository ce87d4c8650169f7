"""What a check takes: stages and tests that add up, in this process and in a worker."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from shiftwatch.check import answer
from shiftwatch.cost import Stopwatch
from shiftwatch.demo.generator import write_batch, write_reference
from shiftwatch.document import from_document, to_document
from shiftwatch.meter import UNMETERED
from shiftwatch.price import STAGES, model_seconds, per_million, told, watching_ratio
from shiftwatch.requests import Check, Checked, Context, Prepare
from shiftwatch.settings import LimitSettings, WindowSettings
from shiftwatch.values import Cost, Run
from shiftwatch.worker import Worker
from tests import sample_runs
from tests.judging import JUDGED_AT, batch_of, demo_context, judged


class _Clock:
    """CPU time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 5.0

    def burn(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    clock = _Clock()
    monkeypatch.setattr("shiftwatch.cost.time.process_time", lambda: clock.now)
    return clock


def test_a_stage_inside_another_is_not_counted_twice(clock: _Clock) -> None:
    stopwatch = Stopwatch()
    with stopwatch.stage("outer"):
        clock.burn(2)
        with stopwatch.stage("inner"):
            clock.burn(3)
            with stopwatch.stage("innermost"):
                clock.burn(1)
        with stopwatch.stage("inner"):
            clock.burn(1)
        clock.burn(1)
    clock.burn(7)
    cost = stopwatch.cost()
    assert cost.stages == {"innermost": 1, "inner": 4, "outer": 3}
    assert cost.cpu_seconds == 15


def test_a_test_stays_in_the_stage_around_it_and_is_added_up(clock: _Clock) -> None:
    stopwatch = Stopwatch()
    with stopwatch.stage("test"):
        for _ in range(2):
            with stopwatch.test("ks"):
                clock.burn(3)
            clock.burn(1)
    cost = stopwatch.cost()
    assert (cost.tests, cost.stages) == ({"ks": 6}, {"test": 8})


def test_a_stage_that_fails_is_counted_too() -> None:
    stopwatch = Stopwatch()
    with pytest.raises(ValueError, match="no"), stopwatch.stage("read"):
        raise ValueError("no")
    with stopwatch.stage("decide"):
        pass
    assert set(stopwatch.cost().stages) == {"read", "decide"}


def test_nobody_who_asks_for_no_cost_pays_for_a_clock() -> None:
    with UNMETERED.stage("read"), UNMETERED.test("ks"):
        pass


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Context:
    return demo_context(tmp_path_factory.mktemp("cost"), rows=20_000)


def test_stages_add_up_to_the_check_and_tests_to_their_stage(context: Context) -> None:
    path = Path(context.model.batches) / "a.parquet"
    write_batch(path, 0, 5000)
    judged(context, batch_of(path))  # opens the reference and warms up
    cost = judged(context, batch_of(path)).run.cost
    assert 0.9 * cost.cpu_seconds <= sum(cost.stages.values()) <= cost.cpu_seconds
    assert 0.85 * cost.stages["test"] <= sum(cost.tests.values()) <= cost.stages["test"]


@pytest.mark.slow
def test_a_worker_accounts_for_its_start_once(context: Context, tmp_path: Path) -> None:
    path = Path(context.model.batches) / "b.parquet"
    write_batch(path, 1, 1000)
    context = replace(context, cache=str(tmp_path))  # in which nothing is prepared
    request = Check(context, batch_of(path), None, JUDGED_AT)
    with Worker(LimitSettings()) as worker:
        worker.call(Prepare(context))
        first, second = (worker.call(request).run.cost for _ in range(2))
        ticks = Path(f"/proc/{worker.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    assert set(first.stages) == set(STAGES) - {"given_up"}
    assert set(second.stages) == set(STAGES) - {"given_up", "prepare"}
    assert first.stages["start"] > 10 * second.stages["start"]
    assert sum(first.stages.values()) == pytest.approx(first.cpu_seconds, rel=0.05)
    # All the process did is in one check or the other, but for giving the last answer.
    whole = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    assert first.cpu_seconds + second.cpu_seconds == pytest.approx(whole, rel=0.1)


def test_what_a_check_costs_changes_no_answer(context: Context) -> None:
    path = Path(context.model.batches) / "c.parquet"
    write_batch(path, 2, 500)
    first, second = (judged(context, batch_of(path)) for _ in range(2))
    assert first.run.results == second.run.results
    assert first.state == second.state


# In relation ------------------------------------------------------------------------------------


def test_the_model_is_measured_on_the_rows_it_ran_on_and_scaled_to_all(tmp_path: Path) -> None:
    write_reference(tmp_path / "reference.parquet", 600)
    context = demo_context(tmp_path)
    model = replace(context.model, window=WindowSettings(max_rows=200))
    write_batch(tmp_path / "batch.parquet", 0, 800)
    request = Check(
        replace(context, model=model), batch_of(tmp_path / "batch.parquet"), None, JUDGED_AT
    )
    checked = answer(request)
    assert isinstance(checked, Checked)
    run = checked.run
    assert (run.cost.rows, run.batch.rows) == (200, 800)
    own = model_seconds(run)
    assert own is not None
    assert own == pytest.approx(4 * run.cost.stages["predict"])
    watching = run.cost.cpu_seconds - run.cost.stages["predict"]
    assert watching_ratio(run) == pytest.approx(watching / own)
    assert pq.read_metadata(tmp_path / "batch.parquet").num_rows == 800


def test_without_a_model_watching_is_compared_with_nothing() -> None:
    run = replace(sample_runs.shift(), cost=Cost(1.0, 1.0, 0, stages={"test": 0.9}, rows=500))
    assert model_seconds(run) is None
    assert watching_ratio(run) is None
    assert told(run)["watching_ratio"] is None


def test_preparing_a_reference_is_not_counted_as_if_it_came_again() -> None:
    stages = {"start": 0.5, "prepare": 6.0, "predict": 0.5, "test": 1.0}
    cost = Cost(8.0, 9.0, 0, 32.0, "estimate", stages, rows=500)
    found = told(replace(sample_runs.shift(), cost=cost))  # of 500 rows
    assert found["watching_cpu_seconds"] == 1.5
    assert found["watching_ratio"] == 3.0
    assert found["cpu_seconds_per_million_rows"] == 4000.0
    assert found["energy_joules_per_million_rows"] == 16_000.0


def test_amounts_per_million_rows_need_rows() -> None:
    assert per_million(0.02, 500) == pytest.approx(40.0)
    assert per_million(None, 500) is None
    assert per_million(1.0, 0) is None


def test_the_document_has_the_cost_in_relation_and_reads_back_without() -> None:
    cost = Cost(1.5, 2.0, 10, 5.76, "estimate", {"predict": 0.5}, {"ks": 0.2}, rows=250)
    run: Run = replace(sample_runs.shift(), cost=cost)  # of 500 rows
    document = json.loads(json.dumps(to_document(run)))
    assert document["cost"]["tests"] == {"ks": 0.2}
    assert document["cost"]["cpu_seconds_per_million_rows"] == 3000.0
    assert document["cost"]["energy_joules_per_million_rows"] == pytest.approx(11_520)
    assert document["cost"]["model_cpu_seconds"] == 1.0
    assert document["cost"]["watching_cpu_seconds"] == 1.0
    assert document["cost"]["watching_ratio"] == 1.0
    assert from_document(document) == from_document(to_document(run))
    assert from_document(document).cost == cost


def test_a_document_from_before_costs_were_told_apart_is_read() -> None:
    document = to_document(sample_runs.shift())
    document["cost"] = {
        "cpu_seconds": 0.2,
        "wall_seconds": 0.3,
        "peak_memory_bytes": 5,
        "energy_joules": None,
        "energy_source": None,
        "stages": {"read": 0.1},
    }
    cost = from_document(document).cost
    assert (cost.tests, cost.rows, cost.stages) == ({}, 0, {"read": 0.1})
