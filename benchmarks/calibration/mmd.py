"""What the kernel test finds and how often it errs, with its default settings.

The cells are those of MMD-FUSE (Biggs, Schrab & Gretton 2023, arXiv:2306.08777; the figures of
rivals are from the results stored in its repository): perturbed uniforms, and mixtures of four
Gaussians of which one changes its width. Their rates have a standard error of .035 themselves.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.calibration.harness import Case, Summaries
from shiftwatch.sample import Column, Sample, categorical, numeric
from shiftwatch.twosample import exact
from shiftwatch.twosample.mmd import Mmd
from shiftwatch.twosample.protocol import Outcome

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], Floats]

BUMPS = 2
"""Perturbations of the uniform per axis."""


def bump(t: Floats) -> Floats:
    """exp(-1/(1-(4t+3)^2)) on (-1, -1/2) and minus exp(-1/(1-(4t+1)^2)) on (-1/2, 0), else 0."""
    up, down = (t > -1) & (t < -0.5), (t > -0.5) & (t < 0)
    height = np.zeros_like(t)
    height[up] = np.exp(-1 / (1 - (4 * t[up] + 3) ** 2))
    height[down] = -np.exp(-1 / (1 - (4 * t[down] + 1) ** 2))
    return height


def uniform(rng: np.random.Generator, rows: int, *, width: int) -> Floats:
    """The unit cube."""
    return rng.random((rows, width))


def perturbed(rng: np.random.Generator, rows: int, *, width: int, amplitude: float) -> Floats:
    """Uniform with ripples: f(x) = 1 + a e^d sum_j theta_j prod_r G(P x_r - j_r), by rejection."""
    signs = rng.choice([-1.0, 1.0], (BUMPS,) * width)
    found = np.empty((0, width))
    while len(found) < rows:
        points = rng.random((2 * rows, width))
        bumps = np.stack([bump(BUMPS * points - j) for j in range(1, BUMPS + 1)])
        ripple = np.zeros(len(points))
        for cell in itertools.product(range(BUMPS), repeat=width):
            factors = [bumps[j, :, axis] for axis, j in enumerate(cell)]
            ripple += signs[cell] * np.prod(factors, axis=0)
        density = 1 + amplitude * np.exp(width) * ripple
        kept = rng.random(len(points)) * (1 + amplitude) < density
        found = np.concatenate([found, points[kept]])
    return found[:rows]


def mixture(rng: np.random.Generator, rows: int, *, sigma: float) -> Floats:
    """Four Gaussians at (+-20, +-20), of unit width but the fourth."""
    component = rng.integers(0, 4, rows)
    centres = np.array([[20, 20], [20, -20], [-20, 20], [-20, -20]])[component]
    widths = np.where(component == 3, sigma, 1.0)[:, None]
    return np.asarray(centres + widths * rng.standard_normal((rows, 2)))


def correlated(rng: np.random.Generator, rows: int, *, strength: float) -> Floats:
    """Ten normal columns, the first three pairs of them correlated."""
    values = rng.standard_normal((rows, 10))
    for pair in range(0, 6, 2):
        own = np.sqrt(1 - strength**2) * values[:, pair + 1]
        values[:, pair + 1] = strength * values[:, pair] + own
    return values


def numbers(values: Floats) -> Sample:
    """A sample of numeric columns, from shape (rows, columns)."""
    columns = [numeric(f"x{index}", column) for index, column in enumerate(values.T)]
    return Sample(len(values), tuple(columns))


def p_value(test: Mmd, reference: Sample, batch: Sample, run_number: int) -> float:
    """P-value of one check; a check without one would be a broken benchmark."""
    prepared = test.prepare(reference, np.random.default_rng([1, run_number]))
    outcome = test.run(prepared, batch, np.random.default_rng([2, run_number]))
    if not isinstance(outcome, Outcome):
        raise TypeError(outcome.reason)
    return outcome.p_value


def rejects(run_number: int, *, laws: tuple[Draw, Draw], rows: tuple[int, int]) -> dict[str, float]:
    """Whether one pair of samples is told apart at .05."""
    rng = np.random.default_rng([20261, run_number])
    reference, batch = (numbers(law(rng, n)) for law, n in zip(laws, rows, strict=True))
    return {"rejected at .05": float(p_value(Mmd(), reference, batch, run_number) <= 0.05)}


def power(summaries: Summaries, *, least: float) -> bool:
    """At least what was promised."""
    return summaries["rejected at .05"].mean >= least


def level(summaries: Summaries, *, levels: Sequence[float]) -> bool:
    """At most the level and three standard errors, at every level."""
    return all(
        summaries[name].mean <= at + 3 * (at * (1 - at) / summaries[name].runs) ** 0.5
        for name, at in zip(summaries, levels, strict=True)
    )


def _cell(name: str, rivals: tuple[float, float], laws: tuple[Draw, Draw], rows: int = 500) -> Case:
    fuse, aggregate = rivals
    return Case(
        name=name,
        rivals=f"FUSE {fuse:.3f}, MMDAgg {aggregate:.3f}",
        target=f">= {fuse - 0.03:.3f}",
        simulate=partial(rejects, laws=laws, rows=(rows, rows)),
        kept=partial(power, least=fuse - 0.03),
        runs=200,
        quick_runs=0,
    )


def _ripples(width: int, amplitude: float, rivals: tuple[float, float], rows: int = 500) -> Case:
    laws = (partial(uniform, width=width), partial(perturbed, width=width, amplitude=amplitude))
    name = f"MMD power: rippled uniform, d={width}, a={amplitude:g}, m=n={rows}"
    return _cell(name, rivals, laws, rows)


def _clusters(sigma: float, rivals: tuple[float, float]) -> Case:
    laws = (partial(mixture, sigma=1.0), partial(mixture, sigma=sigma))
    return _cell(f"MMD power: four clusters, one of width {sigma:g}, m=n=500", rivals, laws)


def _normal(rng: np.random.Generator, rows: int) -> list[Column]:
    return [numeric(f"x{j}", rng.standard_normal(rows)) for j in range(5)]


def _heavy(rng: np.random.Generator, rows: int) -> list[Column]:
    return [numeric(f"x{j}", rng.standard_t(1.5, rows)) for j in range(3)]


def _rare(rng: np.random.Generator, rows: int) -> list[Column]:
    """Numbers with nulls, half of them one and the same, and categories of which most are rare."""
    amount = np.where(rng.random(rows) < 0.5, 0.0, rng.exponential(size=rows))
    amount[rng.random(rows) < 0.03] = np.nan
    texts = [rng.zipf(2.0, rows).clip(max=10**6).astype(str).tolist() for _ in range(2)]
    flag = np.where(rng.random(rows) < 0.01, "yes", "no").tolist()
    return [
        numeric("amount", amount),
        categorical("c0", texts[0]),
        categorical("c1", texts[1]),
        categorical("flag", flag),
    ]


LAWS = (_normal, _heavy, _rare)
SIZES = ((1000, 250), (300, 60))
TAIL_LEVELS = (0.05, 0.01, 0.001, 0.0001)


def far_tail(run_number: int, *, law: int, rows: tuple[int, int]) -> dict[str, float]:
    """One null check with 99 permutations, so that p below .01 comes from the fitted tail.

    128 features a bandwidth instead of 256, since that many checks are needed.
    """
    rng = np.random.default_rng([20262, run_number])
    reference, batch = (Sample(n, tuple(LAWS[law](rng, n))) for n in rows)
    p = p_value(Mmd(permutations=99, features=128), reference, batch, run_number)
    return {f"p <= {at:g}": float(p <= at) for at in TAIL_LEVELS}


def _tail(law: int, rows: tuple[int, int], runs: int) -> Case:
    what = ("normal", "heavy-tailed", "rare categories and nulls")[law]
    return Case(
        name=f"MMD level with 99 permutations: {what}, m={rows[0]}, n={rows[1]}",
        rivals="alibi-detect with B=99 at p_val=.001: .01",
        target="<= the level + 3 standard errors, at .05, .01, .001 and .0001",
        simulate=partial(far_tail, law=law, rows=rows),
        kept=partial(level, levels=TAIL_LEVELS),
        runs=runs,
        quick_runs=0,
    )


_LEVEL = Case(
    name="MMD level: uniform, d=1, m=n=500",
    rivals="FUSE .045, MMDAgg .035, MMD-D .080",
    target="<= .05 + 3 standard errors",
    simulate=partial(rejects, laws=(partial(uniform, width=1),) * 2, rows=(500, 500)),
    kept=partial(level, levels=(0.05,)),
    runs=400,
    quick_runs=40,
)

_CORRELATION = Case(
    name="MMD power: correlation .4 in three pairs of ten columns, m=1000, n=250",
    rivals="MMD at the median bandwidth .44, KS of every column .01",
    target=">= .95",
    simulate=partial(
        rejects,
        laws=(partial(correlated, strength=0.0), partial(correlated, strength=0.4)),
        rows=(1000, 250),
    ),
    kept=partial(power, least=0.95),
    runs=200,
    quick_runs=40,
)

WIDTH, SHIFTED = 20, 4
"""Columns, and those of them that move, where block permutations are held against all."""

PERMUTATIONS = 999


def every_row_permuted(k: Floats, current: int, rng: np.random.Generator) -> float:
    """P-value of the permutation test of rows with the whole kernel matrix, the last rows the batch.

    U statistic of Gretton et al. (2012), Lemma 6, through one product with all labels.
    """
    size = len(k)
    table = np.zeros((PERMUTATIONS + 1, size), np.float32)
    table[0, size - current :] = 1
    table[1:] = rng.permuted(np.broadcast_to(table[0], (PERMUTATIONS, size)), axis=1)
    np.fill_diagonal(k, 0.0)
    mean = k.mean()
    of_batch = table @ k.sum(axis=1)
    yy = np.einsum("bi,bi->b", table @ (k - mean).astype(np.float32), table)
    yy = yy + mean * current**2
    m, n = size - current, current
    xx, xy = k.sum() - 2 * of_batch + yy, of_batch - yy
    values = xx / (m * (m - 1)) + yy / (n * (n - 1)) - 2 * xy / (m * n)
    return float(np.count_nonzero(values >= values[0] - 1e-9) / values.size)


def blocks_or_rows(run_number: int, *, rows: tuple[int, int], shift: float) -> dict[str, float]:
    """How far apart p-values are: of blocks and of rows permuted, and of two seeds of the latter."""
    rng = np.random.default_rng([20263, run_number])
    x, y = (rng.standard_normal((n, WIDTH)) for n in rows)
    y[:, :SHIFTED] += shift
    gamma = 1 / (2 * WIDTH)
    found = exact.at_once(x, y, gamma, PERMUTATIONS, rng)
    both = np.concatenate([x, y])
    squares = (both**2).sum(axis=1)
    k = np.exp(-gamma * np.maximum(squares[:, None] + squares - 2 * both @ both.T, 0.0))
    one, other = (every_row_permuted(k, rows[1], rng) for _ in range(2))
    levels = [p <= 0.05 for p in (one, found.p_value, other)]
    return {
        "|dp| of blocks to rows": abs(found.p_value - one),
        "|dp| of two seeds, rows": abs(other - one),
        "same decision at .05, blocks to rows": float(levels[0] == levels[1]),
        "same decision at .05, two seeds": float(levels[0] == levels[2]),
        "rows of a block": float(found.sizes[0]),
    }


def like_all_permutations(summaries: Summaries) -> bool:
    """As near as another seed is, or a fifth farther, as far as the runs can tell."""
    far, noise = (summaries[f"|dp| of {what}"] for what in ("blocks to rows", "two seeds, rows"))
    return far.mean - 3 * far.standard_error <= 1.2 * noise.mean


def _blocks(rows: tuple[int, int], shift: float, runs: int) -> Case:
    what = f"shift {shift:g} in a fifth of the columns" if shift else "no shift"
    return Case(
        name=f"MMD, exact kernel: blocks permuted or rows, m={rows[0]}, n={rows[1]}, {what}",
        rivals="1000 random features: 3.1 times the noise",
        target="mean |dp| <= 1.2 times that of two seeds of the full test, to 3 standard errors",
        simulate=partial(blocks_or_rows, rows=rows, shift=shift),
        kept=like_all_permutations,
        runs=runs,
        quick_runs=0,
        headline=("|dp| of blocks to rows", "|dp| of two seeds, rows"),
    )


CASES: tuple[Case, ...] = (
    _LEVEL,
    _ripples(1, 0.3, (0.505, 0.605)),
    _ripples(1, 0.4, (0.825, 0.880)),
    _ripples(1, 0.5, (0.975, 0.985)),
    _ripples(1, 0.2, (0.790, 0.875), 2000),
    _ripples(1, 0.2, (0.985, 0.990), 3000),
    _ripples(2, 0.6, (0.485, 0.395)),
    _ripples(2, 0.8, (0.885, 0.830)),
    _ripples(2, 1.0, (0.995, 0.990)),
    _clusters(0.7, (0.510, 0.460)),
    _clusters(1.6, (0.635, 0.675)),
    _clusters(2.0, (0.905, 0.945)),
    _CORRELATION,
    *(_tail(law, rows, 3400) for law in range(3) for rows in SIZES),
    _blocks((500, 200), 0.0, 300),
    _blocks((500, 200), 0.15, 300),
    _blocks((2000, 2000), 0.0, 200),
    _blocks((2000, 2000), 0.05, 200),
)
