"""False-alarm rates of the whole check, by simulation: ``make calibrate``.

Every simulated check draws a fresh reference and a fresh batch from one law, runs all default tests
of both scopes and the decision, and counts alarms. The law has 30 columns: normal, skewed, rounded
and heavy-tailed numbers, some with nulls, and categories from 2 to 200 levels, some dependent on
each other; two more columns stand for the model's outputs.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from shiftwatch.decide import Policy, State, decide
from shiftwatch.decide.latch import Looked
from shiftwatch.evaluate import Current, evaluate
from shiftwatch.reference import prepare
from shiftwatch.sample import Column, Sample, categorical, numeric
from shiftwatch.settings import TestsSettings
from shiftwatch.twosample.registry import build
from shiftwatch.values import SchemaColumn

REFERENCE_ROWS, BATCH_ROWS = 2000, 500
LEVELS = (0.05, 0.01, 0.001)
PER_CHECKS = 1000
RESULTS = Path(__file__).parent / "results" / "calibration.json"


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


def _numbers(
    index: int, common: np.ndarray[tuple[int], np.dtype[np.float64]], rng: np.random.Generator
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
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


@dataclass(slots=True)
class Counts:
    """Rejections by (scope, test, level), alarms, and how often a test ran."""

    checks: int = 0
    alarms: int = 0
    tests: Counter[str] = field(default_factory=Counter)
    rejections: Counter[tuple[str, float]] = field(default_factory=Counter)

    def add(self, other: Counts) -> None:
        """Add the counts of another worker."""
        self.checks += other.checks
        self.alarms += other.alarms
        self.tests.update(other.tests)
        self.rejections.update(other.rejections)


def simulate(first: int, count: int) -> Counts:
    """Null checks number ``first`` to ``first + count - 1``; the number is the seed."""
    counts = Counts()
    plan = build(TestsSettings.all())
    policy = Policy(PER_CHECKS)
    for number in range(first, first + count):
        rng = np.random.default_rng([2026, number])
        reference, batch = draw(REFERENCE_ROWS, rng), draw(BATCH_ROWS, rng)
        schema = [SchemaColumn(c.name, c.kind, c.role, c.type) for c in reference.columns]
        prepared = prepare(reference, schema, plan, number)
        evaluation = evaluate(prepared, Current(batch, {}, str(number)), plan, number)
        looked = Looked(evaluation.results, evaluation.skipped)
        decisions, _ = decide(looked, (State(), str(number)), policy, policy.level())
        counts.checks += 1
        counts.alarms += any(decision.alarm for decision in decisions)
        for result in evaluation.results:
            key = f"{result.test} ({result.scope})"
            counts.tests[key] += 1
            for level in LEVELS:
                counts.rejections[key, level] += result.p_value <= level
    return counts


def run(checks: int, workers: int, chunk: int = 25) -> Counts:
    """Simulate on several processes, telling the progress on standard error."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"  # read by the workers when they import numpy
    total = Counts()
    starts = range(0, checks, chunk)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        parts = [pool.submit(simulate, start, min(chunk, checks - start)) for start in starts]
        for part in parts:
            total.add(part.result())
            if sys.stderr.isatty():
                sys.stderr.write(f"\r{total.checks} of {checks} checks, {total.alarms} alarms")
    return total


def rows_of(counts: Counts) -> list[dict[str, object]]:
    """The table: observed rates with standard errors."""
    table = []
    for key in sorted(counts.tests):
        number = counts.tests[key]
        rates = {str(level): counts.rejections[key, level] / number for level in LEVELS}
        errors = {str(level): math.sqrt(level * (1 - level) / number) for level in LEVELS}
        table.append({"test": key, "runs": number, "rates": rates, "standard_errors": errors})
    return table


def show(counts: Counts, table: Sequence[dict[str, object]], seconds: float) -> None:
    """Print what was found."""
    print(f"{'test (scope)':24}{'runs':>9}" + "".join(f"{f'at {x:g}':>12}" for x in LEVELS))
    for row in table:
        rates = row["rates"]
        cells = "".join(f"{rates[str(x)]:12.4f}" for x in LEVELS) if isinstance(rates, dict) else ""
        print(f"{row['test']:24}{row['runs']:>9}{cells}")
    expected = counts.checks / PER_CHECKS
    print(
        f"\nwhole check: {counts.alarms} alarms in {counts.checks} checks; "
        f"promised: at most {expected:g} expected ({seconds:.0f} s)"
    )


def main() -> int:
    """Simulate, print, store; status 1 if the promise is broken beyond chance."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checks", type=int, default=3000)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    began = time.monotonic()
    counts = run(options.checks, options.workers)
    table = rows_of(counts)
    show(counts, table, time.monotonic() - began)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "checks": counts.checks,
        "alarms": counts.alarms,
        "per_checks": PER_CHECKS,
        "reference_rows": REFERENCE_ROWS,
        "batch_rows": BATCH_ROWS,
        "tests": table,
    }
    options.output.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    expected = counts.checks / PER_CHECKS
    return int(counts.alarms > expected + 3 * math.sqrt(expected))


if __name__ == "__main__":
    sys.exit(main())
