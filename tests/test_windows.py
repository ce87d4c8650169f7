"""Windows of a reference, and whether its rows are alike in runs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal, stats

from shiftwatch import windows
from shiftwatch.sample import Column, categorical, numeric

Floats = NDArray[np.float64]


def _ar1(rho: float, rows: int, rng: np.random.Generator) -> Floats:
    noise = rng.standard_normal(rows + 200)
    stream = signal.lfilter([np.sqrt(1 - rho * rho)], [1, -rho], noise)
    return np.asarray(stream[200:], dtype=np.float64)


def test_windows_lie_within_cycles_and_do_not_overlap() -> None:
    cycles = np.repeat([3, 4, 7], [25, 9, 40])
    found = windows.bounds(74, 10, cycles)
    assert found == ((0, 10), (10, 20), (25, 34), (34, 44), (44, 54), (54, 64), (64, 74))
    assert windows.bounds(74, 20, cycles) == ((0, 20), (34, 54), (54, 74))


def test_fewer_windows_are_spread_from_the_first_to_the_last() -> None:
    found = windows.bounds(10_000, 100, most=32)
    assert len(found) == 32
    assert (found[0], found[-1]) == ((0, 100), (9900, 10_000))
    assert len(set(found)) == 32


def test_lengths_reach_a_tenth_of_the_reference_or_a_cycle() -> None:
    assert windows.lengths(299) == ()
    assert windows.lengths(300) == (30,)
    assert windows.lengths(1_000_000) == (100, 500, 2500, 12_500, 50_000)
    assert windows.lengths(5000, np.repeat(np.arange(40), 125)) == (125,)
    assert windows.affordable(50_000) == windows.FEWEST
    assert windows.affordable(100) == windows.MOST


def test_a_large_reference_is_looked_at_in_runs_or_every_so_many_rows() -> None:
    assert np.array_equal(windows.chunks(100), np.arange(100))
    rows = windows.chunks(1_000_000)
    assert rows.size == 100_000
    assert np.count_nonzero(np.diff(rows) != 1) == 49
    assert windows.spread(1_000_000).size == 100_000
    glanced = windows.chunks(1_000_000, windows.GLANCED_AT)
    assert (glanced.size, glanced[0], glanced[-1]) == (40_000, 0, 999_999)


def _untied(rng: np.random.Generator) -> Floats:
    return rng.standard_normal(5000)


def _tied(rng: np.random.Generator) -> Floats:
    return np.append(rng.poisson(2.0, 4998).astype(np.float64), [np.inf, -np.inf])


@pytest.mark.parametrize("values", [_untied, _tied])
def test_scores_of_a_column_are_its_average_ranks_and_their_distance_from_the_middle(
    values: Callable[[np.random.Generator], Floats],
) -> None:
    drawn = values(np.random.default_rng(1))
    holes = np.arange(drawn.size) % 3 == 0
    ranks, distance = windows.scores(numeric("x", drawn))
    np.testing.assert_allclose(ranks, (stats.rankdata(drawn) - 0.5) / drawn.size - 0.5, atol=1e-15)
    np.testing.assert_allclose(distance, np.abs(ranks) - np.abs(ranks).mean(), atol=1e-15)
    nulls, with_holes, _ = windows.scores(numeric("x", np.where(holes, np.nan, drawn)))
    np.testing.assert_allclose(nulls, holes - holes.mean(), atol=1e-15)
    assert not with_holes[holes].any()
    again = (stats.rankdata(drawn[~holes]) - 0.5) / np.count_nonzero(~holes) - 0.5
    np.testing.assert_allclose(with_holes[~holes], again, atol=1e-15)


@pytest.mark.parametrize("rows", [2000, 2013])
def test_likeness_is_the_formula_of_its_notes(rows: int) -> None:
    rng = np.random.default_rng(2)
    column = categorical("x", [f"k{code}" for code in rng.integers(0, 2, rows)])
    cycles = np.sort(rng.integers(0, 37, rows))
    own = cycles[:, None] == np.unique(cycles)
    p_values = []
    for numbers in windows.scores(column):
        kurtosis = np.mean(numbers**4) / np.mean(numbers**2) ** 2 - 3
        inner = [np.flatnonzero(each) for each in own.T]
        cut = [b[s : s + 20] for b in inner for s in range(0, 20 * (b.size // 20), 20)]
        short = [b for b in inner if 10 <= b.size < 20]
        long = [b[s : s + 200] for b in inner for s in range(0, 200 * (b.size // 200), 200)]
        long += [b for b in inner if 100 <= b.size < 200]
        for blocks in (cut + short, long, inner):
            if len(blocks) >= windows.FEWEST:
                sizes = np.array([b.size for b in blocks])
                h = sum(b.size * numbers[b].mean() ** 2 for b in blocks) / numbers.var()
                mean = len(blocks) - sizes.sum() / rows
                spread = 2 * (len(blocks) - 1) + kurtosis * np.sum(1 / sizes)
                law = stats.gamma(mean**2 / spread, scale=spread / mean)
                p_values.append(law.sf(h))
    expected = min(1.0, len(p_values) * min(p_values))
    assert windows.alike([column], cycles)["x"] == pytest.approx(expected, rel=1e-9)


@pytest.mark.slow
def test_rows_in_random_order_look_alike_as_seldom_as_the_level_says() -> None:
    rng = np.random.default_rng(4)
    runs, found = 400, 0
    for _ in range(runs):
        skewed = rng.lognormal(sigma=2, size=3000)
        skewed[rng.random(3000) < 0.1] = np.nan
        rounded = rng.poisson(0.4, 3000).astype(float)
        texts = [f"k{code}" for code in rng.choice(4, 3000, p=[0.8, 0.13, 0.06, 0.01])]
        columns = [numeric("s", skewed), numeric("r", rounded), categorical("c", texts)]
        p_values = windows.alike(columns)
        found += min(p_values.values()) * len(columns) <= 0.01
    assert found <= stats.binom.isf(1e-3, runs, 0.01)


STREAMS = {
    "means": lambda rng: numeric("x", _ar1(0.2, 20_000, rng)),
    "spread": lambda rng: numeric(
        "x", rng.standard_normal(20_000) * np.exp(0.5 * _ar1(0.9, 20_000, rng))
    ),
    "categories": lambda rng: categorical(
        "x", [f"k{v}" for v in np.digitize(_ar1(0.5, 20_000, rng), [0, 1])]
    ),
    "nulls": lambda rng: numeric(
        "x", np.where(_ar1(0.5, 20_000, rng) > 1, np.nan, rng.standard_normal(20_000))
    ),
    "a slow trend": lambda rng: numeric(
        "x", rng.standard_normal(20_000) + np.linspace(0, 0.3, 20_000)
    ),
}


@pytest.mark.parametrize("name", STREAMS)
def test_dependence_of_every_kind_is_found(name: str) -> None:
    column: Column = STREAMS[name](np.random.default_rng(5))
    assert windows.alike([column])["x"] <= 1e-4


def test_a_constant_or_empty_column_is_not_alike() -> None:
    columns = [numeric("x", [1.0] * 1000), numeric("n", [float("nan")] * 1000)]
    assert windows.alike(columns) == {"x": 1.0, "n": 1.0}
