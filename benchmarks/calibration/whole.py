"""Every test, and the whole check, where nothing has shifted.

Every simulated check draws a fresh reference and a fresh batch from one law, runs all default tests
of both scopes, and weighs them as the decision does. The law has 30 columns: normal, skewed, rounded
and heavy-tailed numbers, some with nulls, and categories from 2 to 200 levels, some dependent on
each other; two more columns stand for the model's outputs.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from benchmarks.calibration.harness import Case, Figures, Summaries, keeps_level
from shiftwatch.decide import Policy, weigh
from shiftwatch.evaluate import Current, evaluate
from shiftwatch.reference import prepare
from shiftwatch.sample import Column, Sample, categorical, numeric
from shiftwatch.settings import TestsSettings
from shiftwatch.twosample.registry import build
from shiftwatch.values import SchemaColumn

REFERENCE_ROWS, BATCH_ROWS = 1000, 250
LEVELS = (0.05, 0.01, 0.001)
WHOLE = "whole check"

Floats = NDArray[np.float64]


def draw(rows: int, rng: np.random.Generator) -> Sample:
    """One sample of the law: 30 inputs and 2 predictions."""
    common = rng.standard_normal(rows)
    columns: list[Column] = [
        numeric(f"x{index:02}", _numbers(index, common, rng)) for index in range(22)
    ]
    for index, levels in enumerate((2, 3, 5, 10, 25, 50, 100, 200)):
        shares = 1 / np.arange(1, levels + 1) ** 1.2
        codes = rng.choice(levels, rows, p=shares / shares.sum())
        columns.append(categorical(f"c{index}", [f"level {code}" for code in codes]))
    score = 1 / (1 + np.exp(-(common + 0.5 * columns[0].values)))
    columns.append(numeric("score", score, "prediction"))
    label = np.where(score > 0.5, "yes", "no")
    columns.append(categorical("label", label.tolist(), "prediction"))
    return Sample(rows, tuple(columns))


def _numbers(index: int, common: Floats, rng: np.random.Generator) -> Floats:
    own = rng.standard_normal(common.size)
    kinds = (
        own,
        0.8 * common + 0.6 * own,
        np.exp(own),
        np.round(2 * own),
        rng.standard_t(2, common.size),
        np.where(rng.random(common.size) < 0.7, 0.0, own),
    )
    values = np.asarray(kinds[index % len(kinds)], dtype=np.float64)
    if index % 5 == 0:
        values = np.where(rng.random(common.size) < 0.04, np.nan, values)
    return values


def simulate(number: int) -> Figures:
    """One check: of every test the share of its targets rejected, and whether the whole was."""
    plan, policy = build(TestsSettings.all()), Policy(per_checks=1000)
    rng = np.random.default_rng([2026, number])
    reference, batch = draw(REFERENCE_ROWS, rng), draw(BATCH_ROWS, rng)
    schema = [SchemaColumn(c.name, c.kind, c.role, c.type) for c in reference.columns]
    prepared = prepare(reference, schema, plan, number)
    evaluation = evaluate(prepared, Current(batch, {}, str(number)), plan, number)
    weighed = weigh(evaluation.results, evaluation.skipped, policy)
    p_values: dict[str, list[float]] = defaultdict(list)
    for result in evaluation.results:
        p_values[f"{result.test} ({result.scope})"].append(result.p_value)
    p_values[WHOLE] = [min(entry.corrected for entry in weighed)]
    alarm = min([entry.corrected for entry in weighed if entry.matters], default=1.0)
    rates = {
        f"{name} at {level:g}": sum(p <= level for p in found) / len(found)
        for name, found in p_values.items()
        for level in LEVELS
    }
    return rates | {"alarm at 1/1000": float(alarm <= policy.level().check)}


def kept(figures: Summaries) -> bool:
    """Whether every rate is at its level or below; the columns of a check count as one draw."""
    return all(
        keeps_level(rate, float(name.rpartition(" at ")[2].replace("1/1000", "0.001")))
        for name, rate in figures.items()
    )


CASES: tuple[Case, ...] = (
    Case(
        "level of every test and of the whole check, at .05 / .01 / .001",
        "alibi-detect's permutation p at p_val=.001: .0099",
        "within 3 standard errors, or below",
        simulate,
        kept,
        20_000,
        60,
        (*(f"{WHOLE} at {level:g}" for level in LEVELS), "alarm at 1/1000"),
    ),
)
