"""Simulated runs of a case, on several processes, and what became of them.

A case is a function of a run number, which is its seed, to named figures; the figures of all runs
are averaged. Rates are figures that are 0 or 1. A case says itself whether its promise was kept.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

from scipy import stats

Figures = Mapping[str, float]


@dataclass(frozen=True)
class Summary:
    """Mean, standard error and median of one figure over the runs."""

    runs: int
    mean: float
    standard_error: float
    median: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Summary:
        """Of one value a run."""
        runs = len(values)
        mean = math.fsum(values) / runs
        variance = math.fsum((value - mean) ** 2 for value in values) / max(1, runs - 1)
        ordered = sorted(values)
        median = (ordered[(runs - 1) // 2] + ordered[runs // 2]) / 2
        return cls(runs, mean, math.sqrt(variance / runs), median)


Summaries = Mapping[str, Summary]

FEW_RUNS = 1000
"""Below this a rate is held against an exact bound that chance passes once in 10 000 comparisons;
from here on against three standard errors."""


def keeps_level(rate: Summary, level: float) -> bool:
    """Whether a rate of rejections is at the level or below, as far as the runs can tell.

    The runs count as independent draws of 0 or 1.
    """
    if rate.runs >= FEW_RUNS:
        error = math.sqrt(level * (1 - level) / rate.runs)
        return rate.mean <= level + 3 * error
    return rate.mean * rate.runs <= float(stats.binom.isf(1e-4, rate.runs, level))


def soon_enough(delay: Summary, most: float) -> bool:
    """Whether the median delay is within its bound; of few runs, unless chance cannot explain it."""
    if delay.runs >= 100:
        return delay.median <= most
    return delay.mean - 3 * delay.standard_error <= most


@dataclass(frozen=True)
class Case:
    """One row of the table.

    ``simulate`` and ``kept`` must be functions at the top of a module (or partials of such), so
    that they can be sent to another process.
    """

    name: str
    rivals: str
    """What rivals or the naive method reach, in words."""
    target: str
    """What must be reached, in words."""
    simulate: Callable[[int], Figures]
    kept: Callable[[Summaries], bool]
    runs: int
    quick_runs: int
    """Runs of the quick form, which `make test` asks for; 0 leaves the case out of it."""
    headline: tuple[str, ...] = ()
    """Figures for the table of the README; all where none is named."""


@dataclass(frozen=True)
class Measured:
    """A case after its runs."""

    case: Case
    figures: Summaries
    kept: bool
    seconds: float


def _part(simulate: Callable[[int], Figures], first: int, count: int) -> list[Figures]:
    return [simulate(number) for number in range(first, first + count)]


def measure(case: Case, runs: int, workers: int) -> Measured:
    """Run a case, telling the progress on a terminal."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"  # read by the workers when they import numpy
    began = time.monotonic()
    chunk = max(1, min(50, runs // (4 * workers)))
    columns: dict[str, list[float]] = {}
    done = 0
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        starts = range(0, runs, chunk)
        parts = [
            pool.submit(_part, case.simulate, start, min(chunk, runs - start)) for start in starts
        ]
        for part in parts:
            for figures in part.result():
                done += 1
                for name, value in figures.items():
                    columns.setdefault(name, []).append(float(value))
            if sys.stderr.isatty():
                sys.stderr.write(f"\r{case.name}: {done} of {runs}\033[K")
    summaries = {name: Summary.of(values) for name, values in columns.items()}
    return Measured(case, summaries, case.kept(summaries), time.monotonic() - began)
