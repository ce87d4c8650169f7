"""A verdict within the limit: which steps are asked for, and what becomes of those given up."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest

from shiftwatch.attempt import GivenUpError, attempt
from shiftwatch.budget import Effort, Spent, Step, ladder
from shiftwatch.errors import TimeLimitError, WorkerError
from shiftwatch.requests import Check, Checked, Context, Request
from shiftwatch.settings import AlarmSettings, LimitSettings, ModelSettings, WindowSettings
from shiftwatch.values import Cost
from tests import sample_runs

ORDER: tuple[Step, ...] = get_args(Step)
ROWS = 40_000


class _Worker:
    """Runs out of time at the first so many steps it is asked for."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.asked: list[Effort] = []

    def __call__(self, request: Request) -> Checked:
        assert isinstance(request, Check)
        self.asked.append(request.effort)
        if len(self.asked) <= self.failures:
            fault = TimeLimitError("no answer within 120 s, the worker was ended")
            fault.cpu_seconds, fault.wall_seconds = 100.0, 120.0
            raise fault
        run = replace(
            sample_runs.no_shift(), cost=Cost(2.0, 3.0, 7, 8.0, "rapl", {"test": 2.0}, rows=10)
        )
        return Checked(run, "state")


def _request(rows: int = ROWS, max_rows: int = 50_000) -> Check:
    window = WindowSettings(max_rows=max_rows)
    settings = ModelSettings("m", reference="r", batches="b", window=window)
    context = Context(settings, AlarmSettings(), 0, "", "", LimitSettings(seconds=120))
    return Check(context, replace(sample_runs.batch(rows)), None, 0.0)


def test_what_is_in_time_is_asked_for_once_and_costs_what_it_cost() -> None:
    worker = _Worker(0)
    answer = attempt(worker, _request())
    assert worker.asked == [Effort()]
    assert answer.run.cost == Cost(2.0, 3.0, 7, 8.0, "rapl", {"test": 2.0}, rows=10)


@pytest.mark.parametrize("failures", [1, 2, 3])
def test_each_step_that_runs_out_of_time_is_followed_by_the_next(failures: int) -> None:
    worker = _Worker(failures)
    attempt(worker, _request())
    assert [effort.step for effort in worker.asked] == list(ORDER[: failures + 1])
    assert [effort.max_rows for effort in worker.asked] == [
        effort.max_rows for effort in ladder(ROWS)[: failures + 1]
    ]
    assert worker.asked[-1].given_up == ORDER[:failures]


def test_what_was_given_up_is_in_the_cost_and_makes_the_joules_an_estimate() -> None:
    cost = attempt(_Worker(2), _request()).run.cost
    assert cost.cpu_seconds == 202.0
    assert (cost.wall_seconds, cost.given_up_seconds) == (243.0, 240.0)
    assert cost.stages == {"test": 2.0, "given_up": 200.0}
    assert cost.energy_source == "estimate"
    assert cost.energy_joules == pytest.approx(8.0 + 200 * 3.84)
    assert (cost.peak_memory_bytes, cost.rows) == (7, 10)


def test_after_the_last_step_it_is_an_error_that_names_all_of_them() -> None:
    worker = _Worker(99)
    with pytest.raises(GivenUpError, match="no answer within 120 s") as raised:
        attempt(worker, _request())
    assert [effort.step for effort in worker.asked] == list(ORDER)
    effort = raised.value.request.effort
    assert (effort.step, effort.given_up) == ("joint_tests", ORDER)
    assert raised.value.cost.cpu_seconds == 400.0
    assert raised.value.cost.stages == {"given_up": 400.0}


def test_a_worker_that_dies_is_not_asked_again() -> None:
    def dies(request: Request) -> Checked:
        del request
        raise WorkerError("the worker was killed by SIGKILL")

    with pytest.raises(WorkerError, match="SIGKILL"):
        attempt(dies, _request())


def test_past_checks_choose_the_step_before_time_is_lost() -> None:
    worker = _Worker(0)
    past = [Spent("whole", ROWS, ROWS, per_row=115.0)]
    attempt(worker, _request(), past)
    assert [effort.step for effort in worker.asked] == ["subsample"]
    assert worker.asked[0].given_up == ()


@pytest.mark.parametrize(
    ("max_rows", "reference_rows", "whole"),
    [(50_000, None, ROWS), (20_000, None, 20_000), (50_000, 2000, 8000)],
)
def test_a_quarter_is_of_the_rows_that_a_whole_check_would_test(
    max_rows: int, reference_rows: int | None, whole: int
) -> None:
    worker = _Worker(1)
    attempt(worker, _request(max_rows=max_rows), (), reference_rows)
    assert worker.asked[1].max_rows == whole // 4
