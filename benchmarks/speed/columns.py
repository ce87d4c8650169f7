"""KS and chi-square, column by column, against scipy's loop."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.speed.data import KS_SHAPES, Floats, ks_columns
from benchmarks.speed.harness import Case, Goal, Measured, Task, agree, faster, tested
from shiftwatch.sample import Column, numeric
from shiftwatch.twosample.chisquare import ChiSquare
from shiftwatch.twosample.ks import Ks
from shiftwatch.twosample.protocol import Outcome, Prepared

SHOWN = 10
"""Columns whose answers are held against a peer's."""


def ks(case: str, task: Task) -> Measured:
    """D, its p-value, interval and place for every column; scipy sorts the reference every time."""
    references, batches = ks_columns(case)
    rng, test, measured = np.random.default_rng(1), Ks(), Measured()
    sides = [numeric("x", reference) for reference in references]
    began = time.process_time()
    prepared = [test.prepare(reference, rng) for reference in sides]
    measured.facts["prepare seconds"] = time.process_time() - began

    def ours() -> list[Outcome]:
        # Fresh columns, as a column is sorted once and remembers it.
        pairs = zip(prepared, (numeric("x", batch) for batch in batches), strict=True)
        return [tested(test.run(kept, current, rng)) for kept, current in pairs]

    def peer(first: int = len(sides)) -> list[Any]:
        return [stats.ks_2samp(references[j], batches[j]) for j in range(first)]

    measured.answers = _answers(ours()[:SHOWN])
    theirs = peer(SHOWN)
    distances = [each.statistic for each in theirs]
    agree(measured.answers["statistic"], distances, rtol=0, atol=1e-12)
    # scipy's asymptotic law is another approximation of the same p-value: a per cent apart.
    agree(measured.answers["p_value"], [each.pvalue for each in theirs], rtol=0.02, atol=0)
    measured.by_turns(task, ours, {"scipy": peer})
    measured.facts["explain seconds"] = _explaining(test, prepared, batches)
    return measured


def _explaining(test: Ks, prepared: Sequence[Prepared], batches: Floats) -> float:
    """What a check adds for its readers: shifts of quantiles and a distance, with intervals."""
    columns = [numeric("x", batch) for batch in batches]
    for column in columns:
        column.ascending.sum()  # sorted, as the test has left it
    began = time.process_time()
    for kept, column in zip(prepared, columns, strict=True):
        test.explain(kept, column)
    return time.process_time() - began


def _answers(outcomes: list[Outcome]) -> dict[str, list[float]]:
    return {
        "statistic": [each.statistic for each in outcomes],
        "p_value": [each.p_value for each in outcomes],
    }


def chi_square(task: Task) -> Measured:
    """Chi-square of 10 columns of 50 categories; the peer, too, counts only the batch."""
    rng = np.random.default_rng(2)
    shares = 1 / np.arange(1, 51)
    shares /= shares.sum()
    sides = [(_codes(rng, 100_000, shares), _codes(rng, 10_000, shares)) for _ in range(10)]
    test, measured = ChiSquare(), Measured()
    prepared = [test.prepare(reference, rng) for reference, _ in sides]
    counts = [np.bincount(reference.values, minlength=50) for reference, _ in sides]

    def ours() -> list[Outcome]:
        pairs = zip(prepared, sides, strict=True)
        return [tested(test.run(kept, current, rng)) for kept, (_, current) in pairs]

    def peer() -> list[Any]:
        batches = (np.bincount(current.values, minlength=50) for _, current in sides)
        tables = zip(counts, batches, strict=True)
        return [stats.chi2_contingency(np.stack(table), correction=False) for table in tables]

    mine, theirs = ours(), peer()
    agree([o.statistic for o in mine], [t.statistic for t in theirs], rtol=1e-9, atol=0)
    # Ours joins the p-value of X2 with that of the category that changed most; scipy has the first.
    of_all_cells = [o.explanation["p_value_all_cells"] for o in mine]
    agree(of_all_cells, [t.pvalue for t in theirs], rtol=1e-9, atol=0)
    measured.by_turns(task, ours, {"scipy": peer}, loops=20)
    return measured


def _codes(rng: np.random.Generator, rows: int, shares: Floats) -> Column:
    codes = rng.choice(shares.size, rows, p=shares).astype(np.int32)
    names = tuple(f"category {index}" for index in range(shares.size))
    return Column("c", "categorical", "input", "string", codes, codes >= 0, names)


_KS_GOALS: dict[str, tuple[Goal, ...]] = {
    "ks_reference_100k": (faster("scipy", 15), faster("nannyml", 3)),
    "ks_reference_1m": (faster("scipy", 100), faster("whylogs", 15)),
    "ks_1000_columns": (faster("scipy", 50),),
}


def _ks_case(case: str) -> Case:
    columns, rows_reference, rows_batch = KS_SHAPES[case]
    work = f"KS, {columns} columns, reference {rows_reference:,}, batch {rows_batch:,}"

    def run(task: Task) -> Measured:
        return ks(case, task)

    return Case(case, work, run, _KS_GOALS[case], quick=case == "ks_reference_100k")


CASES = (
    *(_ks_case(case) for case in KS_SHAPES),
    Case(
        "chi2_50_categories",
        "chi-square, 10 columns of 50 categories, batch 10,000",
        chi_square,
        quick=True,
    ),
)
