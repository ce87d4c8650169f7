"""The cost of a check in words: what is measured, what is estimated, and against what."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shiftwatch.price import ENERGY_SOURCES, DayCost
from shiftwatch.report import markdown, render_html, table
from shiftwatch.report.gauges import shares_bar
from shiftwatch.report.spending import Part, by_stage, by_test, spending
from shiftwatch.values import Cost, Run
from tests import sample_runs

STAGES = {"start": 0.4, "read": 0.02, "predict": 0.05, "test": 0.1, "decide": 0.01}
COST = Cost(0.6, 0.8, 240_000_000, 2.304, "estimate", STAGES, {"ks": 0.02, "mmd": 0.07}, 500)
DAY = DayCost(288, 144_000, 30.0, 115.2)


def _run(**changes: object) -> Run:
    return replace(sample_runs.shift(), cost=replace(COST, **changes))  # type: ignore[arg-type] # by name


def test_a_check_is_told_by_itself_by_rows_by_the_day_and_beside_the_model() -> None:
    assert spending(_run(), DAY) == (
        (
            "This check took 0.6 s of CPU (0.4 s of it to start the worker), 0.8 s by the clock, "
            "2.3 J (estimated), 240 MB at most."
        ),
        "Per million rows in batches of this size: 1,200 s of CPU, 4,610 J.",
        "The 24 hours up to it: 288 checks of 144,000 rows took 30 s of CPU, 115 J.",
        (
            "Watching costs 11 times as much as the model's own CPU time on these rows (batch "
            "inference: 500 rows in one call)."
        ),
    )


def test_a_small_share_is_told_in_per_cent_and_a_part_of_the_rows_is_scaled() -> None:
    run = _run(cpu_seconds=5.13, stages={"predict": 5.0}, rows=250)  # of 500 rows
    assert spending(run)[-1] == (
        "Watching costs 1.3 % of the model's own CPU time on these rows (batch inference: "
        "250 rows in one call, scaled to 500)."
    )


def test_attempts_that_ran_out_of_time_are_not_hidden() -> None:
    run = _run(cpu_seconds=120.6, stages={**STAGES, "given_up": 120.0})
    assert "(120 s of it for attempts that limits.seconds ended)" in spending(run)[0]


def test_measured_energy_is_not_called_estimated() -> None:
    assert "2.3 J (measured)" in spending(_run(energy_source="rapl"))[0]
    assert "energy not measured" in spending(_run(energy_joules=None, energy_source=None))[0]


def test_nothing_is_told_where_nothing_is_known() -> None:
    assert spending(replace(sample_runs.shift(), cost=Cost(0.0, 0.0, 0))) == ()
    without = spending(_run(stages={"test": 0.5}))
    assert not [text for text in without if "model's own" in text]
    assert len(without) == 2


def test_parts_keep_the_order_of_the_check_and_tests_come_by_their_cost() -> None:
    assert [part.name for part in by_stage(COST)] == list(STAGES)
    assert [part.name for part in by_test(COST)] == ["mmd", "ks"]
    assert sum(part.share for part in by_stage(COST)) == pytest.approx(0.58 / 0.6)


def test_a_part_that_would_read_zero_is_not_shown() -> None:
    cost = replace(COST, stages={**STAGES, "season": 0.0001})
    assert [part.name for part in by_stage(cost)] == list(STAGES)


def test_a_bar_is_as_wide_as_its_parts_and_never_wider_than_the_whole() -> None:
    bar = shares_bar([Part("a", 1.0, 0.25), Part("b", 3.0, 0.75), Part("c", 9.0, 1.0)])
    assert 'x="0.0" width="50.0"' in bar
    assert 'x="50.0" width="150.0"' in bar
    assert 'x="200.0" width="0.0"' in bar
    assert "<title>a 1 s, 25 %</title>" in bar


def test_page_table_and_markdown_say_the_cost_and_what_an_estimate_assumes() -> None:
    run = _run()
    page = render_html(run, day=DAY).replace("&#39;", "'")
    for text in (table(run, day=DAY), markdown(run, day=DAY).replace("\\", ""), page):
        for line in spending(run, DAY):
            assert line in text
        assert ENERGY_SOURCES["estimate"] in text
        assert "mmd" in text
    assert "CPU time by stage: start 0.4 s, read 0.02 s" in table(run)
    assert "CPU time by stage" in page
    assert "CPU time by test" in page


@pytest.mark.parametrize("name", sample_runs.every())
def test_every_run_can_be_told_whatever_it_cost(name: str) -> None:
    run = sample_runs.every()[name]
    for cost in (COST, Cost(0.0, 0.0, 0), Cost(float("inf"), 1.0, 0), run.cost):
        told = replace(run, cost=cost)
        assert render_html(told)
        assert table(told)
        assert markdown(told)
