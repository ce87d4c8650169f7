"""The promise in numbers and words."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from shiftwatch.promise import luck_factor, promise_text, span_text, survey_lines

# Quantiles by simulation, 4e5 draws: m/n, level, 95 % quantile.
TABLE = [
    (99, 0.05, 1.07),
    (19, 0.05, 1.32),
    (10, 0.05, 1.59),
    (4, 0.05, 2.27),
    (1, 0.05, 4.15),
    (99, 0.001, 1.16),
    (19, 0.001, 1.78),
    (10, 0.001, 2.34),
    (4, 0.001, 3.49),
    (1, 0.001, 3.55),
    (99, 1e-4, 1.22),
    (19, 1e-4, 2.0),
]


@pytest.mark.parametrize(("ratio", "level", "expected"), TABLE)
def test_the_luck_factor_agrees_with_simulation(ratio: int, level: float, expected: float) -> None:
    assert luck_factor(100 * ratio, 100, level) == pytest.approx(expected, rel=0.02)


def test_the_luck_factor_averages_to_one_over_references() -> None:
    quantiles = (np.arange(4000) + 0.5) / 4000
    factors = [luck_factor(400, 100, 0.01, quantile=float(q)) for q in quantiles]
    assert np.mean(factors) == pytest.approx(1.0, abs=0.01)


def test_the_luck_factor_is_the_conditional_tail_of_the_normal_law() -> None:
    rho = 100 / 2000
    bound = stats.norm.isf(0.0005)
    luck = math.sqrt(rho) * stats.norm.ppf(0.975)
    spread = math.sqrt(1 - rho)
    tail = stats.norm.sf((bound - luck) / spread) + stats.norm.sf((bound + luck) / spread)
    assert luck_factor(1900, 100, 0.001) == pytest.approx(tail / 0.001, rel=1e-9)
    assert math.isfinite(luck_factor(1900, 100, 1e-12))


def test_the_promise_is_told_in_checks_and_in_time() -> None:
    text = promise_text(1000, 300.0)
    assert "1000 checks" in text
    assert text.endswith("1 in 3.5 days at one batch every 5 minutes")
    assert promise_text(50, 3600.0).endswith("1 in 2.1 days at one batch every hour")
    assert promise_text(50, 86_400.0).endswith("1 in 50 days at one batch every day")
    assert promise_text(10**6, 300.0).endswith("1 in 9.5 years at one batch every 5 minutes")


def test_spans_of_time_have_the_largest_unit_that_fits() -> None:
    told = [span_text(seconds) for seconds in (1, 60, 90, 3600, 9000, 86_400 * 400, 3.2e12)]
    assert told == [
        "1 second",
        "1 minute",
        "1.5 minutes",
        "1 hour",
        "2.5 hours",
        "1.1 years",
        "101 402 years",
    ]


FACTS = {
    "rows": 20_000,
    "ordered": True,
    "judged": True,
    "dependent": False,
    "timed": True,
    "season": {},
    "detectable": {"ks": 0.108, "mean_shift_sd": 0.272, "chi2": 0.1},
    "luck_factor": 1.78,
    "batch_rows": 500,
    "batch_kappa": 1.0,
    "worst": {"target": "", "kappa": 1.0},
    "median": {"kappa": 1.0},
    "doubts": [],
}


def test_what_was_measured_is_told_in_lines() -> None:
    dependence, season, shown, luck = survey_lines(FACTS)
    assert dependence.endswith("in order of event time: none found; every row counts")
    assert season == "season: none found"
    assert (
        "shows with probability .8: a mean shifted by 0.27 standard deviations (KS 0.108)" in shown
    )
    assert shown.endswith(", 10 % of the rows in other categories")
    assert luck.endswith(
        "for 95 % of references the rate of false alarms is below 1.8 times the promise"
    )


def test_dependence_season_and_doubts_are_told_with_their_columns() -> None:
    told = "\n".join(
        survey_lines(
            FACTS
            | {
                "dependent": True,
                "ordered": False,
                "worst": {"target": "load", "kappa": 100.0},
                "median": {"kappa": 10.0},
                "season": {"day": {"share": 0.4, "column": "load"}},
                "batch_kappa": 5.0,
                "doubts": ["too short"],
                "detectable": {"ks": 1.0, "mean_shift_sd": 6.0},
            }
        )
    )
    assert "in the order of the file: found; 20000 rows say as much as 2000 independent" in told
    assert "200 (load, the worst)" in told
    assert "season: day (up to 40 % of the variance, load)" in told
    assert "as good as 100 independent ones" in told
    assert "no change of a column but a complete one" in told
    assert told.endswith("note: too short")


def test_what_was_not_measured_is_said() -> None:
    told = survey_lines(FACTS | {"judged": False, "timed": False, "detectable": {}})
    assert told == (
        "dependence between rows: not measured, 20000 rows are too few",
        "season: not measured; it needs `columns: {time: NAME}`",
    )
