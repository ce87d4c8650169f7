"""The promise on false alarms, quick form; `make calibrate` is the full one."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from scipy import stats

from benchmarks.calibrate import LEVELS, PER_CHECKS, RESULTS, run

CHECKS = 200


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_null_checks_keep_the_level_of_every_test_and_of_the_whole() -> None:
    counts = run(CHECKS, workers=2)
    assert counts.checks == CHECKS
    assert counts.alarms <= stats.binom.isf(1e-3, CHECKS, 1 / PER_CHECKS)
    comparisons = len(counts.tests) * len(LEVELS)
    for key, number in counts.tests.items():
        for level in LEVELS:
            # Columns of one check depend on each other, so a check counts as one draw at worst.
            draws = min(number, CHECKS)
            most = stats.binom.isf(1e-3 / comparisons, draws, level)
            assert counts.rejections[key, level] * draws / number <= most, (key, level)


def test_the_stored_calibration_keeps_the_promise() -> None:
    stored = json.loads(Path(RESULTS).read_text(encoding="utf-8"))
    expected = stored["checks"] / stored["per_checks"]
    assert stored["checks"] >= 3000
    assert stored["alarms"] <= stats.poisson.isf(1e-2, expected)
    for row in stored["tests"]:
        for level in LEVELS:
            error = math.sqrt(level * (1 - level) / min(row["runs"], stored["checks"]))
            assert row["rates"][str(level)] <= level + 4 * error, (row["test"], level)
