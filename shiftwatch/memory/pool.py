"""Each batch against the growing pool of everything that was taken for normal.

In:    the memory, the batch's summary, the level this check may spend.
Out:   the charts after it, evidence by scope; the pool without what an alarm has found.
Never: spends more than it is given; lets a batch of an alarm stay in the pool.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from shiftwatch.memory.charts import (
    CAP,
    Evidences,
    Sums,
    log_ratio,
    run_length_threshold,
    tail_threshold,
)
from shiftwatch.memory.excursion import Since
from shiftwatch.memory.permuted import permuted_p_values
from shiftwatch.memory.plan import ChartPlan
from shiftwatch.memory.state import TRIFLE_ERROR, Basis, Memory, Observed, Spending
from shiftwatch.summary import Summary
from shiftwatch.values import TESTED_SCOPES, Scope, SlowEvidence

Floats = NDArray[np.float64]

_SUSPECT = 0.5
"""Part of its threshold from which a chart's excursion is taken out of the pool at an alarm."""


def look(
    basis: Basis,
    memory: Memory,
    batch: Summary,
    spending: Spending,
    rng: np.random.Generator,
) -> tuple[Memory, dict[Scope, SlowEvidence], NDArray[np.bool_]]:
    """Move the charts on by one batch.

    Returns
    -------
    The memory with its charts, evidence by scope, and which charts and sides stand high.
    """
    plan = basis.plan
    draws = rng.random(plan.charts)
    kappas = basis.by_chart(basis.kappas, basis.null_kappas)
    charts: Sums | Evidences
    if isinstance(memory.charts, Sums):
        z = plan.scores(batch, memory.pool, draws) / np.sqrt(kappas)
        thresholds = _thresholds(plan, spending)
        charts = sums = memory.charts.after(z, memory.number - 1, CAP * thresholds)
        running = sums.starts >= 0
        ratios = sums.heights / thresholds[:, None]
    else:
        p = _widened(permuted_p_values(plan, batch, memory.pool, draws, rng), kappas)
        charts = evidences = memory.charts.after(p, memory.number - 1, spending.pool)
        running = (evidences.starts >= 0)[:, None]
        ratios = _log_ratios(evidences.evidence(), plan, spending.pool)[:, None]
    since = memory.since.after(plan, batch, running)
    moved = replace(memory, charts=charts, since=since)
    if (ratios >= 1).any():
        moved, ratios = _held_against_tolerance(basis, moved, ratios, (kappas, spending.pool))
    return moved, _strongest(basis, moved, ratios), ratios >= _SUSPECT


def _held_against_tolerance(
    basis: Basis, memory: Memory, ratios: Floats, rules: tuple[Floats, float]
) -> tuple[Memory, Floats]:
    """Charts that stand for a trifle begin anew, and what does not matter does not cross.

    A chart kept high by a trifle would dilute whatever may come after it.
    """
    matters, trifling = _matters(basis, memory.since, *rules)
    done = (ratios >= 1) & trifling
    running = (memory.charts.starts >= 0).reshape(ratios.shape) & ~done
    nothing = basis.reference - basis.reference
    since = memory.since.after(basis.plan, nothing, running)
    below = np.minimum(ratios, np.nextafter(1.0, 0.0))
    ratios = np.where(done, 0.0, np.where(matters, ratios, below))
    return replace(memory, charts=_without(memory.charts, done), since=since), ratios


def _widened(p_values: Floats, kappas: Floats) -> Floats:
    """P-values whose score is divided by the root of the inflation; then no theorem holds."""
    if not (kappas > 1).any():
        return p_values
    return np.asarray(2 * ndtr(ndtri(p_values / 2) / np.sqrt(kappas)))


def _thresholds(plan: ChartPlan, spending: Spending) -> Floats:
    """Height of each chart, by the part of the budget that each of its sides may spend."""
    shares, where = np.unique(plan.shares, return_inverse=True)
    chances = np.maximum(shares * spending.pool / 2, 1e-300)
    if spending.steady:
        return run_length_threshold(1 / chances)[where]
    return tail_threshold(chances)[where]


def _log_ratios(evidence: Floats, plan: ChartPlan, spent: float) -> Floats:
    """By Doob's inequality and the union over charts a chart may reach 1 over its share."""
    return np.array(
        [log_ratio(e, 1 / share, spent) for e, share in zip(evidence, plan.shares, strict=True)]
    )


def _matters(
    basis: Basis, since: Since, kappas: Floats, level: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether the effect since the start asks for an alarm, and whether it is shown to be a trifle."""
    effects, slack = since.effects(basis.plan, basis.reference, kappas)
    smallest = basis.by_chart(basis.tolerances, basis.null_tolerances)[:, None]
    trifling = effects + math.sqrt(math.log(4 / TRIFLE_ERROR) / 2) * slack <= smallest
    if not basis.prove:
        return ~trifling, trifling
    share = np.maximum(basis.plan.shares * level, 1e-300)[:, None]
    return effects - np.sqrt(np.log(4 / share) / 2) * slack > smallest, trifling


def _without(charts: Sums | Evidences, gone: NDArray[np.bool_]) -> Sums | Evidences:
    """The charts with some of them, shape (charts, sides), begun anew."""
    if isinstance(charts, Sums):
        return Sums(np.where(gone, 0.0, charts.heights), np.where(gone, -1, charts.starts))
    return Evidences(np.where(gone, 0.0, charts.sums), np.where(gone[:, 0], -1, charts.starts))


def _strongest(basis: Basis, memory: Memory, ratios: Floats) -> dict[Scope, SlowEvidence]:
    found: dict[Scope, SlowEvidence] = {}
    if not basis.plan.charts:  # every column is constant, or none can be tested
        return found
    tops = ratios.max(axis=1, initial=0.0)
    starts = memory.charts.starts.reshape(ratios.shape[0], -1)
    for scope in TESTED_SCOPES:
        own = np.flatnonzero([basis.scopes[column] == scope for column in basis.plan.columns])
        if own.size == 0:
            continue
        best = own[int(np.argmax(tops[own]))]
        side = int(np.argmax(ratios[best])) if ratios.shape[1] == starts.shape[1] else 0
        crossed = own[tops[own] >= 1]
        order = crossed[np.argsort(-tops[crossed], kind="stable")]
        names = [basis.plan.layout.columns[basis.plan.columns[chart]] for chart in order]
        found[scope] = SlowEvidence(
            ratio=float(tops[best]),
            crossed=bool(crossed.size),
            columns=tuple(dict.fromkeys(names)),
            change_from=memory.ids.get(int(starts[best, side])),
        )
    return found


def without_change(basis: Basis, observed: Observed) -> Summary:
    """The pool without what entered it since the start of the suspect excursions.

    Never less than the reference: what came in while the pool stood still is not in it.
    """
    memory, plan = observed.memory, basis.plan
    numeric, cells, nulls = (
        np.array(counts) for counts in (memory.pool.numeric, memory.pool.cells, memory.pool.nulls)
    )
    taken: set[int] = set()
    for chart, side in np.argwhere(observed.suspect).tolist():
        column = int(plan.columns[chart])
        if column in taken:
            continue
        taken.add(column)
        if chart < 2 * plan.width:
            kind, place = divmod(chart, plan.width)
            # The batch at hand is among the counts and has not entered the pool.
            numeric[place] -= (
                memory.since.numbers[kind, side, place] - observed.batch.numeric[place]
            )
        elif plan.of_nulls[chart]:
            nulls[column] -= memory.since.nulls[column] - observed.batch.nulls[column]
        else:
            place = column - plan.width
            cells[place] -= memory.since.cells[place] - observed.batch.cells[place]
    return Summary(
        np.maximum(numeric, basis.reference.numeric),
        np.maximum(cells, basis.reference.cells),
        np.maximum(nulls, basis.reference.nulls),
    )


def begun_anew(basis: Basis, memory: Memory, cleared: Sequence[Scope]) -> Memory:
    """The memory with the charts of these scopes at 0."""
    if not basis.plan.charts:
        return memory
    own = np.array([basis.scopes[column] in cleared for column in basis.plan.columns], dtype=bool)
    charts = _without(memory.charts, own[:, None])
    running = (charts.starts >= 0).reshape(own.size, -1)
    nothing = basis.reference - basis.reference
    return replace(memory, charts=charts, since=memory.since.after(basis.plan, nothing, running))
