"""Realistic runs of every verdict, made without numpy: for tests of whatever shows a run.

In:    nothing.
Out:   Run values; the same at every call.
Never: runs a test; the numbers are written down.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from shiftwatch.values import (
    Batch,
    ColumnProfile,
    Cost,
    Decision,
    Evidence,
    Finding,
    Piece,
    Run,
    Skipped,
    TwoSampleResult,
)

MODEL = "churn"
LEVEL = 0.001
JUDGED_AT = 1793718030.25
REFERENCE_ROWS = 12_000
ROWS = 500

NUMERIC: dict[str, tuple[float, float, float, float]] = {
    "price": (49.0, 12.0, 58.0, 13.0),
    "tenure": (26.0, 9.0, 22.0, 9.0),
    "age": (44.0, 13.0, 44.4, 12.8),
    "income": (3150.0, 820.0, 3128.0, 840.0),
    "calls": (7.2, 2.6, 7.3, 2.7),
    "minutes": (412.0, 120.0, 409.0, 119.0),
    "data_gb": (9.4, 4.1, 9.6, 4.0),
    "balance": (-120.0, 460.0, -131.0, 455.0),
    "distance": (31.5, 11.0, 31.0, 11.2),
}
"""Mean and standard deviation of the reference, then of a shifted batch."""

P_VALUES: dict[str, float] = {
    "price": 4.317e-38,
    "tenure": 7.92e-14,
    "plan": 3.06e-9,
    "income": 0.0412,
    "calls": 0.187,
    "region": 0.2214,
    "age": 0.358,
    "minutes": 0.4471,
    "data_gb": 0.5093,
    "device": 0.6127,
    "balance": 0.744,
    "distance": 0.9182,
}
EFFECTS: dict[str, float] = {
    "price": 0.297,
    "tenure": 0.181,
    "plan": 0.142,
    "income": 0.063,
    "calls": 0.0495,
    "region": 0.031,
    "age": 0.042,
    "minutes": 0.039,
    "data_gb": 0.037,
    "device": 0.018,
    "balance": 0.031,
    "distance": 0.025,
}


def batch(rows: int = ROWS, identity: str = "7f3a9c0512be48d1") -> Batch:
    """A batch of one file."""
    piece = Piece("batches/2026-11-03T14.parquet", 48_213, "b7" * 32, 0, rows)
    return Batch(identity, (piece,), rows, 1793714400.0, 1793717999.0)


def numeric_profile(
    name: str, before: tuple[float, float], now: tuple[float, float], nulls: int = 0
) -> ColumnProfile:
    """A normal reference and a normal batch, as counts over 24 equal bins and two open ones."""
    mean, deviation = before
    edges = tuple(mean + deviation * (-2.58 + 5.16 * step / 24) for step in range(25))
    return ColumnProfile(
        name,
        "numeric",
        "input",
        "double",
        rows_reference=REFERENCE_ROWS,
        rows_current=ROWS,
        nulls_reference=36 if nulls else 0,
        nulls_current=nulls,
        quantiles_reference=_quantiles(mean, deviation),
        quantiles_current=_quantiles(*now),
        edges=edges,
        counts_reference=_counts(edges, before, REFERENCE_ROWS - (36 if nulls else 0)),
        counts_current=_counts(edges, now, ROWS - nulls),
    )


def _quantiles(mean: float, deviation: float) -> tuple[float, ...]:
    return tuple(mean + deviation * z for z in (-2.326, -1.645, -0.674, 0.0, 0.674, 1.645, 2.326))


def _counts(edges: Sequence[float], law: tuple[float, float], rows: int) -> tuple[int, ...]:
    below = [0.0, *(0.5 * math.erfc(-(e - law[0]) / law[1] / math.sqrt(2)) for e in edges), 1.0]
    return tuple(round(rows * high) - round(rows * low) for low, high in pairwise(below))


def categorical_profile(
    name: str, categories: Sequence[str], before: Sequence[int], now: Sequence[int]
) -> ColumnProfile:
    """Counts as given; the categories the reference lacks are new."""
    new = tuple(text for text, count in zip(categories, before, strict=True) if not count)
    return ColumnProfile(
        name,
        "categorical",
        "input",
        "string",
        rows_reference=sum(before),
        rows_current=sum(now),
        nulls_reference=0,
        nulls_current=0,
        new_categories=new,
        categories=tuple(categories),
        counts_reference=tuple(before),
        counts_current=tuple(now),
    )


def profiles(*, shifted: bool) -> tuple[ColumnProfile, ...]:
    """Nine numeric and three categorical inputs, and one prediction."""
    numbers = tuple(
        numeric_profile(
            name,
            (law[0], law[1]),
            (law[2], law[3]) if shifted else (law[0], law[1]),
            nulls=9 if name == "income" else 0,
        )
        for name, law in NUMERIC.items()
    )
    plans = (190, 155, 110, 0, 45) if shifted else (262, 150, 88, 0, 0)
    texts = (
        categorical_profile(
            "plan",
            ("basic", "plus", "family", "legacy", "student-2026"),
            (6310, 3560, 2090, 40, 0),
            plans,
        ),
        categorical_profile(
            "region",
            ("north", "south", "east", "west", "centre", "islands", "abroad", "unknown"),
            (3000, 2600, 2300, 1900, 1500, 400, 200, 100),
            (130, 104, 95, 80, 60, 18, 9, 4),
        ),
        categorical_profile("device", ("phone", "router"), (9100, 2900), (383, 117)),
    )
    score = numeric_profile("score", (0.31, 0.11), (0.36, 0.12) if shifted else (0.312, 0.109))
    return (*numbers, *texts, replace(score, role="prediction", type="float"))


def results(*, shifted: bool) -> tuple[TwoSampleResult, ...]:
    """One result a column, the joint tests, and those of the prediction."""
    columns = tuple(
        _result(name, p_value if shifted or p_value > 0.01 else 0.02 + 0.3 * EFFECTS[name], shifted)
        for name, p_value in P_VALUES.items()
    )
    nulls = TwoSampleResult(
        "nulls", "income", "input", 9.0, 2.4e-4, 0.015, 0.0066, 0.0309, REFERENCE_ROWS, ROWS
    )
    score_p = 1.64e-11 if shifted else 0.483
    score = TwoSampleResult(
        "ks", "score", "prediction", 0.176, score_p, 0.176, 0.114, 0.238, REFERENCE_ROWS, ROWS
    )
    return (*columns, nulls, *_joint(shifted=shifted), score)


def _result(name: str, p_value: float, shifted: bool) -> TwoSampleResult:
    effect = EFFECTS[name] if shifted or EFFECTS[name] < 0.1 else 0.041
    test = "ks" if name in NUMERIC else "chi2"
    present = ROWS - 9 if name == "income" else ROWS
    low, high = max(effect - 0.0621, 0.0), effect + 0.0621
    return TwoSampleResult(
        test, name, "input", effect, p_value, effect, low, high, REFERENCE_ROWS, present
    )


def _joint(*, shifted: bool) -> tuple[TwoSampleResult, ...]:
    shares: dict[str, Any] = {
        "columns": [
            {"column": "price", "share": 0.6214},
            {"column": "tenure", "share": 0.2387},
            {"column": "plan", "share": 0.0942},
            {"column": "income", "share": 0.0211},
        ]
    }
    mmd_p, c2st_p = (8.13e-12, 2.27e-10) if shifted else (0.2931, 0.3742)
    mmd = TwoSampleResult(
        "mmd", "*", "input", 0.0413, mmd_p, 0.0413, None, None, 5000, ROWS, shares
    )
    facts = {"auc": 0.7361, "features": "columns, squares and products"} | shares
    c2st = TwoSampleResult(
        "c2st", "*", "input", 0.7361, c2st_p, 0.4722, 0.4018, 0.5426, 5000, ROWS, facts
    )
    return (mmd, c2st)


SKIPPED: tuple[Skipped, ...] = (
    *(
        Skipped("nulls", name, "input", "no_nulls")
        for name in (*NUMERIC, "plan", "region", "device")
        if name != "income"
    ),
    Skipped("unseen", "region", "input", "all_categories_known"),
    Skipped("unseen", "device", "input", "all_categories_known"),
    Skipped("ks", "signed_up", "input", "timestamp", "timestamp[us]"),
    Skipped("mmd", "*", "prediction", "no_predictions"),
)

PROVENANCE: dict[str, Any] = {
    "shiftwatch": "0.1.0",
    "python": "3.12.8",
    "libraries": {
        "numpy": "2.3.4",
        "onnxruntime": "1.23.2",
        "pyarrow": "22.0.0",
        "scipy": "1.16.3",
    },
    "config_sha256": "3c" * 32,
    "model_sha256": "a1" * 32,
    "reference_sha256": "5e" * 32,
    "batch_sha256": "b7" * 32,
    "seed": 0,
}

COST = Cost(
    cpu_seconds=0.187,
    wall_seconds=0.213,
    peak_memory_bytes=212_000_000,
    energy_joules=None,
    stages={"read": 0.021, "predict": 0.034, "test": 0.124, "decide": 0.008},
)


def _decision(scope: Any, p_value: float | None, columns: tuple[str, ...] = ()) -> Decision:
    alarm = p_value is not None and p_value <= LEVEL
    ratio = None if p_value is None else math.log(p_value) / math.log(LEVEL)
    evidence = Evidence(check=ratio)
    since = batch().id if alarm else None
    layers = ("check",) if alarm else ()
    return Decision(
        scope,
        alarm,
        alarm,
        False,
        evidence,
        p_value,
        LEVEL,
        columns,
        since,
        crossed=layers,
        change_from=since,
    )


def _schema(*columns: str) -> Decision:
    alarm = bool(columns)
    since = batch().id if alarm else None
    evidence = Evidence(check=float(alarm))
    return Decision("schema", alarm, alarm, False, evidence, None, 0.0, columns, since)


PERFORMANCE = Decision("performance", False, False, False, Evidence(), None, LEVEL)


def shift() -> Run:
    """Three of twelve inputs and the prediction moved."""
    return Run(
        model=MODEL,
        batch=batch(),
        verdict="shift",
        judged_at=JUDGED_AT,
        decisions=(
            _decision("input", 3.626e-36, ("price", "tenure", "plan")),
            _decision("prediction", 1.148e-10, ("score",)),
            _schema(),
            PERFORMANCE,
        ),
        results=results(shifted=True),
        skipped=SKIPPED,
        findings=(
            Finding("new_categories", "plan", "never in the reference: student-2026", "note"),
        ),
        columns=profiles(shifted=True),
        explanation={"vanished": {"plan": ["legacy"]}},
        provenance=PROVENANCE,
        cost=COST,
    )


def no_shift() -> Run:
    """All quiet."""
    return Run(
        model=MODEL,
        batch=batch(identity="19d04be7a35f6c82"),
        verdict="no_shift",
        judged_at=JUDGED_AT,
        decisions=(
            _decision("input", 0.31),
            _decision("prediction", 1.0),
            _schema(),
            PERFORMANCE,
        ),
        results=tuple(
            replace(r, p_value=0.027) if r.test == "nulls" else r for r in results(shifted=False)
        ),
        skipped=SKIPPED,
        columns=profiles(shifted=False),
        provenance=PROVENANCE,
        cost=COST,
    )


def latched() -> Run:
    """Quiet again, while the alarm of an earlier batch is still on."""
    quiet = no_shift()
    first = replace(quiet.decisions[0], alarm=True, since="7f3a9c0512be48d1")
    return replace(quiet, decisions=(first, *quiet.decisions[1:]))


EARLIER = "2b6e11a0c47d9f35"
"""A batch before the one that is shown: a change began with it."""

CHECK_LEVEL = 0.15 * LEVEL
"""What the check by itself may spend where the layers over past batches have the rest."""

OUTLOOK: dict[str, Any] = {
    "detectable": {
        "power": 0.8,
        "used": {"ks": {"n": ROWS, "m": REFERENCE_ROWS, "kappa": 1.0, "level": 1e-5}},
        "ks": 0.118,
        "mean_shift_sd": 0.297,
        "chi2": 0.131,
    },
    "luck_factor": 1.34,
}


def _slow(p_value: float, window: float, pool: float, **changes: Any) -> Decision:
    """A decision on the inputs with all three layers."""
    check = math.log(p_value) / math.log(CHECK_LEVEL)
    decision = Decision(
        "input", False, False, False, Evidence(check, window, pool), p_value, CHECK_LEVEL
    )
    return replace(decision, **changes)


def _past(decision: Decision) -> Run:
    """A batch that is quiet by itself, with this decision on its inputs."""
    run = no_shift()
    prediction = replace(
        run.decisions[1], level=CHECK_LEVEL, evidence=Evidence(check=0.0, window=0.11, pool=0.24)
    )
    return replace(
        run,
        verdict="shift" if decision.crossed else "no_shift",
        decisions=(decision, prediction, *run.decisions[2:]),
        explanation=OUTLOOK,
    )


def by_window() -> Run:
    """Windows of past batches raise the alarm; the batch alone is quiet."""
    this = no_shift().batch.id
    return _past(
        _slow(
            0.31,
            1.38,
            0.52,
            alarm=True,
            raised=True,
            crossed=("window",),
            columns=("tenure",),
            also_moving=("calls", "age"),
            since=this,
            change_from=EARLIER,
        )
    )


def by_pool() -> Run:
    """A shift that built up raises the alarm; the batch alone is quiet."""
    this = no_shift().batch.id
    return _past(
        _slow(
            0.084,
            0.47,
            1.07,
            alarm=True,
            raised=True,
            crossed=("pool",),
            columns=("price",),
            since=this,
            change_from=EARLIER,
        )
    )


def quiet_under_alarm() -> Run:
    """Nothing crossed, the alarm holds, and what has built up is not quiet yet."""
    return _past(
        _slow(
            0.62,
            0.41,
            0.88,
            alarm=True,
            since="7f3a9c0512be48d1",
            change_from=EARLIER,
        )
    )


def doubtful() -> Run:
    """All quiet, and the promise cannot be shown to hold: rows depend on each other."""
    run = _past(_slow(0.31, 0.2, 0.37))
    text = (
        "dependence between rows cannot be measured: the reference (12000 rows) is shorter than "
        "30 batches (500 rows each)"
    )
    return replace(
        run,
        results=tuple(replace(r, inflation=8.0) if r.target == "price" else r for r in run.results),
        findings=(
            Finding("promise_not_kept", "", text, "note"),
            Finding("infinite", "balance", "3 infinite values", "note"),
        ),
    )


def within_tolerance() -> Run:
    """Many rows: a trifle is significant in one column, and is held back by the tolerance."""
    run = _past(_slow(0.31, 0.2, 0.37))
    trifle: dict[str, Any] = {
        "p_value": 3.4e-9,
        "effect": 0.0121,
        "effect_low": 0.0064,
        "effect_high": 0.0178,
    }
    return replace(
        run,
        results=tuple(replace(r, **trifle) if r.target == "minutes" else r for r in run.results),
    )


def insufficient() -> Run:
    """Twelve rows, where thirty are needed."""
    return Run(
        model=MODEL,
        batch=batch(12, "c2aa01fe93d47b56"),
        verdict="insufficient_data",
        judged_at=JUDGED_AT,
        reasons=("12 rows of at least 30",),
        decisions=(
            _decision("input", None),
            _decision("prediction", None),
            _schema(),
            PERFORMANCE,
        ),
        provenance=PROVENANCE,
        cost=COST,
    )


def invalid() -> Run:
    """A column is missing and one changed its type, so the model was not run either."""
    broken = {"age": "missing_column", "plan": "changed_type"}
    columns = tuple(
        replace(c, rows_current=0, nulls_current=0, counts_current=(), quantiles_current=())
        if c.name in {*broken, "score"}
        else c
        for c in profiles(shifted=False)
    )
    return Run(
        model=MODEL,
        batch=batch(identity="e85b72cc104d9fa3"),
        verdict="invalid_data",
        judged_at=JUDGED_AT,
        reasons=("a column of the reference is not in the batch", "was string, is double"),
        decisions=(
            _decision("input", 0.47),
            _decision("prediction", None),
            _schema("age", "plan"),
            PERFORMANCE,
        ),
        results=tuple(
            r for r in no_shift().results if r.scope == "input" and r.target not in {*broken, "*"}
        ),
        skipped=(
            Skipped("ks", "age", "input", "missing_column"),
            Skipped("chi2", "plan", "input", "changed_type"),
            Skipped("mmd", "*", "input", "missing_column", "age, plan"),
            Skipped("c2st", "*", "input", "missing_column", "age, plan"),
            Skipped("ks", "score", "prediction", "no_predictions"),
            *SKIPPED[-3:-1],
        ),
        findings=(
            Finding(
                "missing_column", "age", "a column of the reference is not in the batch", "invalid"
            ),
            Finding("changed_type", "plan", "was string, is double", "invalid"),
            Finding(
                "model_failed",
                "age",
                "the model was not run: no usable column age, plan",
                "invalid",
            ),
            Finding("extra_column", "Age_2", "is not in the reference; it is not tested", "note"),
        ),
        columns=columns,
        provenance=PROVENANCE,
        cost=COST,
    )


def error() -> Run:
    """The worker ran out of memory."""
    return Run(
        model=MODEL,
        batch=batch(identity="0b44d1f7e2c93a68"),
        verdict="error",
        judged_at=JUDGED_AT,
        reasons=("the worker needed more than 1024 MB (raise `limits: {memory_mb: ...}`)",),
        provenance=PROVENANCE,
        cost=COST,
    )


def wide(columns: int) -> Run:
    """Many numeric inputs, every one tested twice."""
    names = [f"feature_{index:04d}" for index in range(columns)]
    found = [
        TwoSampleResult(
            test, name, "input", 0.05, (index + 1.5) / (columns + 2), 0.05, 0.0, 0.11, 12_000, 500
        )
        for index, name in enumerate(names)
        for test in ("ks", "nulls")
    ]
    shape = numeric_profile("", (0.0, 1.0), (0.02, 1.01), nulls=4)
    return replace(
        no_shift(),
        results=tuple(found),
        skipped=(),
        columns=tuple(replace(shape, name=name) for name in names),
    )


def every() -> dict[str, Run]:
    """One run of each verdict, and of each way an alarm may stand, by name."""
    makers = (
        shift,
        no_shift,
        latched,
        by_window,
        by_pool,
        quiet_under_alarm,
        doubtful,
        within_tolerance,
        insufficient,
        invalid,
        error,
    )
    return {maker.__name__: maker() for maker in makers}
