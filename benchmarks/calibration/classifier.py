"""Level, power and small p-values of the classifier test with its default learner."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.calibration.harness import Case, Figures, Summaries
from shiftwatch.sample import Column, Sample, categorical, numeric
from shiftwatch.twosample.classifier import Classifier
from shiftwatch.twosample.protocol import Outcome

Floats = NDArray[np.float64]
Generator = np.random.Generator

REFERENCE_ROWS, BATCH_ROWS, COLUMNS = 1500, 500, 10
SMALL_REFERENCE, SMALL_BATCH = 200, 60


def normal(rng: Generator, rows: int) -> Sample:
    return _sample(rng.standard_normal((rows, COLUMNS)))


def moved(rng: Generator, rows: int) -> Sample:
    values = rng.standard_normal((rows, COLUMNS))
    values[:, :3] += 0.12
    return _sample(values)


def correlated(rng: Generator, rows: int) -> Sample:
    values = rng.standard_normal((rows, COLUMNS))
    for first in (0, 2):
        own = np.sqrt(1 - 0.3**2) * values[:, first + 1]
        values[:, first + 1] = 0.3 * values[:, first] + own
    return _sample(values)


def heavy(rng: Generator, rows: int) -> Sample:
    return _sample(rng.standard_t(1.5, (rows, 4)))


def mixed(rng: Generator, rows: int) -> Sample:
    """Skewed and rounded numbers with nulls, a common category and one of hundreds of levels."""
    amount = rng.lognormal(0.0, 2.0, rows)
    count = rng.poisson(0.3, rows).astype(np.float64)
    count[rng.random(rows) < 0.05] = np.nan
    plan = rng.choice(["a", "b", "c"], rows, p=[0.9, 0.09, 0.01])
    city = (rng.zipf(1.6, rows) % 300).astype(str)
    columns: tuple[Column, ...] = (
        numeric("amount", amount),
        numeric("count", count),
        categorical("plan", plan.tolist()),
        categorical("city", city.tolist()),
    )
    return Sample(rows, columns)


def _sample(values: Floats) -> Sample:
    return Sample(len(values), tuple(numeric(f"x{j}", row) for j, row in enumerate(values.T)))


Draw = Callable[[Generator, int], Sample]


def _outcome(
    test: Classifier, laws: tuple[Draw, Draw], sizes: tuple[int, int], run: int
) -> Outcome:
    rng = np.random.default_rng([2026, run])
    reference, batch = laws[0](rng, sizes[0]), laws[1](rng, sizes[1])
    prepared = test.prepare(reference, np.random.default_rng([1, run]))
    outcome = test.run(prepared, batch, np.random.default_rng([2, run]))
    if not isinstance(outcome, Outcome):
        raise TypeError(outcome)
    return outcome


def found(shifted: Draw, run: int) -> Figures:
    """Whether a shift is found at .05, and how well the sides are told apart."""
    sizes = (REFERENCE_ROWS, BATCH_ROWS)
    outcome = _outcome(Classifier(), (normal, shifted), sizes, run)
    return {"found at .05": outcome.p_value <= 0.05, "auc": outcome.statistic}


def level(run: int) -> Figures:
    sizes = (REFERENCE_ROWS, BATCH_ROWS)
    outcome = _outcome(Classifier(), (normal, normal), sizes, run)
    return _rates(outcome, (0.05, 0.01, 0.001)) | {"auc": outcome.statistic}


def small_p(law: Draw, run: int) -> Figures:
    """False alarms at levels that 99 permutations cannot resolve."""
    sizes = (SMALL_REFERENCE, SMALL_BATCH)
    outcome = _outcome(Classifier(permutations=99), (law, law), sizes, run)
    return _rates(outcome, (0.05, 0.01, 0.001, 0.0001))


def _rates(outcome: Outcome, levels: tuple[float, ...]) -> dict[str, float]:
    return {f"p <= {one:g}": float(outcome.p_value <= one) for one in levels}


def keeps_level(summaries: Summaries) -> bool:
    """Every rate at most three standard errors of an exact test above its level."""
    for name, summary in summaries.items():
        if name.startswith("p <= "):
            nominal = float(name.removeprefix("p <= "))
            if summary.mean > nominal + 3 * np.sqrt(nominal * (1 - nominal) / summary.runs):
                return False
    return True


def reaches(least: float, summaries: Summaries) -> bool:
    return summaries["found at .05"].mean >= least


_AT = f"{REFERENCE_ROWS} v {BATCH_ROWS}"
_SMALL = f"{SMALL_REFERENCE} v {SMALL_BATCH}"
_BOUNDED = "each rate at most 3 standard errors above its level"

CASES: tuple[Case, ...] = (
    Case(
        f"classifier: mean .12 sd in 3 of 10, {_AT}",
        "valid half-split .57; Hotelling with the covariance known .80",
        ">= .80 at level .05",
        partial(found, moved),
        partial(reaches, 0.80),
        runs=4000,
        quick_runs=0,
    ),
    Case(
        f"classifier: correlation .3 in 2 pairs of 10, {_AT}",
        "valid half-split .05",
        ">= .95 at level .05",
        partial(found, correlated),
        partial(reaches, 0.95),
        runs=500,
        quick_runs=100,
    ),
    Case(
        f"classifier: level, {_AT}",
        "pooled 5-fold with a textbook null .105 / .025",
        _BOUNDED,
        level,
        keeps_level,
        runs=4000,
        quick_runs=300,
    ),
    *(
        Case(
            f"classifier: small p with 99 permutations, {name}, {_SMALL}",
            "permutations alone: never below .01",
            _BOUNDED,
            partial(small_p, law),
            keeps_level,
            runs=6000,
            quick_runs=300,
        )
        for name, law in (("normal", normal), ("heavy-tailed", heavy), ("mixed", mixed))
    ),
)
