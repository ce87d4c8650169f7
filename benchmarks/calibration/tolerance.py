"""What matters, not what is significant: a million rows on both sides."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from benchmarks.calibration.harness import Case, Figures, Summaries
from shiftwatch.decide import Policy, State, decide
from shiftwatch.decide.latch import Looked
from shiftwatch.sample import numeric
from shiftwatch.settings import ToleranceSettings
from shiftwatch.twosample.ks import Ks
from shiftwatch.twosample.protocol import Outcome, Prepared
from shiftwatch.values import TwoSampleResult

ROWS = 1_000_000


@lru_cache(maxsize=1)
def _reference() -> Prepared:
    rng = np.random.default_rng(41)
    return Ks().prepare(numeric("x", rng.standard_normal(ROWS)), rng)


def simulate(number: int) -> Figures:
    """Alarms at tolerance .02 after a shift of .01 and of .1 deviations, in both modes."""
    rng = np.random.default_rng([41, number])
    alarms: dict[str, float] = {}
    for shift in (0.01, 0.1):
        outcome = Ks().run(_reference(), numeric("x", rng.standard_normal(ROWS) + shift), rng)
        if not isinstance(outcome, Outcome):
            raise TypeError(outcome)
        alarms[f"plain test at .001, {shift} sd"] = float(outcome.p_value <= 0.001)
        for mode in ("suppress", "prove"):
            policy = Policy(tolerance=ToleranceSettings(default=0.02, mode=mode))
            result = TwoSampleResult(
                "ks",
                "x",
                "input",
                outcome.statistic,
                outcome.p_value,
                outcome.effect,
                outcome.effect_low,
                outcome.effect_high,
                outcome.rows_reference,
                outcome.rows_current,
            )
            decisions, _ = decide(Looked([result]), (State(), ""), policy, policy.level())
            alarms[f"{mode}, {shift} sd"] = float(decisions[0].alarm)
    return alarms


def kept(figures: Summaries) -> bool:
    """No alarm for the trifle, always one for the shift."""
    return all(
        figures[f"{mode}, {shift} sd"].mean == wanted
        for mode in ("suppress", "prove")
        for shift, wanted in ((0.01, 0.0), (0.1, 1.0))
    )


CASES: tuple[Case, ...] = (
    Case(
        "reference and batch of 1 000 000 rows, tolerance .02: alarms at .01 sd and at .1 sd",
        "100 % alarms",
        "0 %; 100 %, both modes",
        simulate,
        kept,
        100,
        3,
    ),
)
