"""Which step a batch is judged at: from what past checks took, monotone, without flapping."""

from __future__ import annotations

from dataclasses import asdict, replace
from itertools import pairwise
from typing import get_args

import pytest

from shiftwatch import budget
from shiftwatch.budget import (
    FEWEST_ROWS,
    REMEMBERED,
    STEPS,
    Effort,
    Spent,
    Step,
    choose,
    ladder,
    lower,
)
from shiftwatch.values import Cost, Run
from tests import sample_runs

ORDER: tuple[Step, ...] = get_args(Step)

ROWS = 50_000


def _spent(seconds: float, rows: int = ROWS, step: Step = "whole") -> Spent:
    """A whole check of so many rows, most of it growing with them."""
    return Spent(step, rows, rows, 0.1 * seconds, 0.6 * seconds, 0.25 * seconds, 0.05 * seconds)


def _place(effort: Effort) -> int:
    return ORDER.index(effort.step)


def test_the_declared_order_is_rows_then_permutations_then_joint_tests() -> None:
    assert ORDER == tuple(STEPS) == ("whole", "subsample", "permutations", "joint_tests")
    whole, subsample, permutations, last = ladder(ROWS)
    assert (whole.max_rows, whole.fewer_draws, whole.joint_tests) == (None, False, True)
    assert (subsample.max_rows, subsample.fewer_draws) == (ROWS // 4, False)
    assert (permutations.fewer_draws, permutations.joint_tests) == (True, True)
    assert (last.fewer_draws, last.joint_tests) == (True, False)


@pytest.mark.parametrize("rows", [1, 30, 999, 1000, 1001, 4000, 10**6, 10**9])
def test_each_step_takes_no_more_rows_than_the_one_before_and_never_too_few(rows: int) -> None:
    cuts = [effort.max_rows for effort in ladder(rows)[1:]]
    assert all(cut is not None and cut >= min(rows, FEWEST_ROWS) for cut in cuts)
    for fuller, smaller in pairwise(cuts):
        assert fuller is not None
        assert smaller is not None
        assert smaller <= fuller <= rows


def test_a_step_that_would_leave_nothing_out_is_not_tried() -> None:
    assert [effort.step for effort in ladder(FEWEST_ROWS)] == [
        "whole",
        "permutations",
        "joint_tests",
    ]


def test_stepping_down_walks_over_every_step_once_and_remembers_them() -> None:
    effort: Effort | None = Effort()
    seen = []
    while effort is not None:
        seen.append((effort.step, effort.given_up))
        effort = lower(effort, ROWS)
    assert seen == [(step, ORDER[:place]) for place, step in enumerate(ORDER)]


def test_nothing_is_left_out_where_nothing_is_known_or_there_is_room() -> None:
    assert choose((), ROWS, ROWS, 1.0) == Effort()
    assert choose([_spent(10.0)], ROWS, ROWS, 120.0) == Effort()


def test_a_check_that_would_be_too_long_is_made_smaller_before_it_runs_out_of_time() -> None:
    past = [_spent(60.0, 25_000)]
    assert choose(past, 25_000, 25_000, 120.0).step == "whole"
    assert choose(past, 100_000, 100_000, 120.0).step == "subsample"


def test_a_much_smaller_check_says_nothing_of_a_large_one() -> None:
    """Its seconds are those of a start, and would be multiplied."""
    assert choose([_spent(5.0, 100)], ROWS, ROWS, 120.0) == Effort()


@pytest.mark.parametrize("step", ORDER)
@pytest.mark.parametrize("seconds", [0.5, 5.0, 50.0, 119.0, 1000.0])
def test_more_rows_or_a_lower_limit_never_mean_a_fuller_step(step: Step, seconds: float) -> None:
    past = [replace(_spent(seconds), step=step, joint=None if step == ORDER[3] else seconds / 4)]
    sizes = [2000, 10_000, 40_000, 60_000, 200_000, 499_999]
    for limit in (1.0, 30.0, 120.0, 3600.0):
        by_rows = [_place(choose(past, rows, rows, limit)) for rows in sizes]
        assert by_rows == sorted(by_rows)
    for rows in sizes:
        by_limit = [_place(choose(past, rows, rows, limit)) for limit in (3600, 120, 30, 1.0)]
        assert by_limit == sorted(by_limit)


def _true_seconds(effort: Effort, whole: float) -> float:
    """What a check of ROWS rows takes on a machine where the whole of it takes so long."""
    return _spent(whole).predicted(effort, ROWS, ROWS)


def _judged(past: list[Spent], whole: float, limit: float) -> Effort:
    """One check on such a machine: chosen, ended at the limit as often as it takes, noted."""
    effort: Effort | None = choose(past, ROWS, ROWS, limit)
    assert effort is not None
    while _true_seconds(effort, whole) > limit:
        below = lower(effort, ROWS)
        if below is None:
            break
        effort = below
    tested = effort.max_rows or ROWS
    truth = _spent(whole)
    joint = (truth.joint or 0.0) * (budget._FEWER_DRAWS if effort.fewer_draws else 1.0)
    past.append(
        replace(
            truth,
            step=effort.step,
            tested=tested,
            per_row=truth.per_row * tested / ROWS,
            joint=joint if effort.joint_tests else None,
            given_up=effort.given_up,
        )
    )
    return effort


@pytest.mark.parametrize("whole", [30.0, 105.0, 110.0, 130.0, 200.0, 500.0, 700.0])
def test_on_a_steady_machine_the_step_settles_and_does_not_flap(whole: float) -> None:
    past: list[Spent] = []
    steps = [_judged(past, whole, 120.0).step for _ in range(60)]
    assert len(set(steps[1:])) == 1
    assert sum(bool(one.given_up) for one in past) <= 1


def test_a_slow_hour_is_recovered_from_step_by_step_or_at_once() -> None:
    past: list[Spent] = []
    for _ in range(5):
        _judged(past, 20.0, 120.0)
    slow = [_judged(past, 400.0, 120.0) for _ in range(5)]
    assert all(effort.step != "whole" for effort in slow)
    after = [_judged(past, 20.0, 120.0).step for _ in range(REMEMBERED + 5)]
    assert after[-1] == "whole"
    assert after == sorted(after, key=ORDER.index, reverse=True)


def test_a_step_that_ran_out_of_time_waits_though_it_is_predicted_to_fit() -> None:
    """Prediction and truth may differ: each such attempt costs a whole limit."""
    past = [replace(_spent(10.0), step="subsample", given_up=("whole",))]
    for _ in range(REMEMBERED - 1):
        assert choose(past, ROWS, ROWS, 120.0).step == "subsample"
        past.append(replace(_spent(10.0), step="subsample"))
    past.append(replace(_spent(10.0), step="subsample"))
    assert choose(past, ROWS, ROWS, 120.0).step == "whole"


def test_running_out_of_time_on_a_large_batch_says_nothing_of_a_small_one() -> None:
    past = [_spent(10.0, 5000), replace(_spent(10.0), step="subsample", given_up=("whole",))]
    assert choose(past, 5000, 5000, 120.0).step == "whole"
    assert choose(past, ROWS // 2, ROWS // 2, 120.0).step == "subsample"


def test_after_every_step_ran_out_of_time_only_the_last_is_tried_for_a_while() -> None:
    past = [Spent("joint_tests", ROWS, 0, given_up=ORDER)]
    assert choose(past, ROWS, ROWS, 120.0) == ladder(ROWS)[-1]


def test_between_staying_and_going_up_there_is_room() -> None:
    seconds = 90.0  # within nine tenths of the limit, and not within six
    assert choose([_spent(seconds)], ROWS, ROWS, 120.0).step == "whole"
    cut = replace(_spent(seconds), step="subsample", tested=ROWS // 4, per_row=0.6 * seconds / 4)
    assert cut.predicted(Effort(), ROWS, ROWS) == pytest.approx(seconds)
    assert choose([cut], ROWS, ROWS, 120.0).step == "subsample"
    assert choose([cut], ROWS, ROWS, 160.0).step == "whole"


def test_what_a_check_took_is_read_off_its_run() -> None:
    cost = Cost(
        cpu_seconds=109.0,
        wall_seconds=124.0,
        peak_memory_bytes=0,
        stages={
            "start": 1.0,
            "prepare": 6.0,
            "given_up": 100.0,
            "read": 0.2,
            "predict": 0.3,
            "test": 1.2,
            "decide": 0.1,
        },
        tests={"ks": 0.4, "mmd": 0.5, "c2st": 0.25},
        rows=200,
        given_up_seconds=120.0,
    )
    told = {"effort": asdict(Effort("subsample", 200, ("whole",)))}
    run = Run("m", sample_runs.batch(500), "no_shift", 0.0, cost=cost, provenance=told)
    spent = Spent.of(run)
    slow = 4.0 / 2.0  # seconds for a CPU second, but for start and failures
    assert (spent.step, spent.rows, spent.tested) == ("subsample", 500, 200)
    assert spent.given_up == ("whole",)
    assert spent.read == pytest.approx(slow * 0.2)
    assert spent.joint == pytest.approx(slow * 0.75)
    assert spent.per_row == pytest.approx(slow * (0.3 + 1.2 - 0.75))
    assert spent.fixed == pytest.approx(slow * 0.1)
    assert Spent.from_plain(asdict(spent)) == spent


def test_a_check_without_tests_or_from_an_older_release_predicts_nothing() -> None:
    too_few = Run("m", sample_runs.batch(12), "insufficient_data", 0.0, cost=Cost(0.1, 0.1, 0))
    assert Spent.of(too_few).tested == 0
    assert choose([Spent.of(too_few)], ROWS, ROWS, 1.0) == Effort()
    older = sample_runs.shift()
    assert "effort" not in older.provenance
    assert Spent.of(older).step == "whole"


@pytest.mark.parametrize("effort", [*ladder(ROWS), Effort("joint_tests", 1000, ORDER)])
def test_an_effort_comes_back_from_a_report(effort: Effort) -> None:
    plain = asdict(effort) | {"given_up": list(effort.given_up)}
    assert Effort.from_plain(plain) == effort


@pytest.mark.parametrize(
    "told",
    [
        "whole",
        {"step": "whole"},
        {"step": "half", "max_rows": None, "given_up": []},
        {"step": "whole", "max_rows": None, "given_up": ["half"]},
        {"step": "whole", "max_rows": None, "given_up": [], "more": 1},
    ],
)
def test_an_effort_of_another_release_is_refused_and_not_guessed(told: object) -> None:
    with pytest.raises(ValueError, match=r"effort|step"):
        Effort.from_plain(told)
