"""One batch enters the memory: charts and windows move on, and say what they see.

In:    the memory after the batch before, the batch's summary, the level this check may spend.
Out:   evidence by scope and layer; then, when the alarms are known, the memory after this batch.
Never: latches an alarm; sees a row; forgets more than an accepted new normal asks for.

Two layers with two nulls. The windows hold the last 2 to 256 batches against the fixed reference,
each valid by itself. The charts hold each batch against the pool of the reference and all batches
before it: sequential ranks, which are independent over batches if nothing has shifted, so that
evidence may be added up for ever. While an alarm is on the pool stands still, and what had entered
it since the estimated start of the change is taken out again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from shiftwatch.memory import windows
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
from shiftwatch.memory.windows import LENGTHS, Window
from shiftwatch.summary import Layout, Summary
from shiftwatch.values import TESTED_SCOPES, Scope, SlowEvidence

Floats = NDArray[np.float64]

_ERROR = 0.05
"""A shift is shown to be below the tolerance if its upper bound at this error is."""


@dataclass(frozen=True, slots=True, eq=False)
class Basis:
    """What the memory of one model rests on; the same for every batch.

    Parameters
    ----------
    plan
        The charts.
    reference
        The reference's own summary.
    scopes
        By column of the layout: the scope of its alarms.
    tolerances, null_tolerances
        Smallest effect that matters; shape (columns,).
    kappas, null_kappas
        Inflation of variances by dependence, 1 or more; shape (columns,).
    prove
        Whether an alarm needs an effect shown to exceed the tolerance.
    """

    plan: ChartPlan
    reference: Summary
    scopes: tuple[Scope, ...]
    tolerances: Floats
    null_tolerances: Floats
    kappas: Floats
    null_kappas: Floats
    prove: bool = False

    @classmethod
    def plain(cls, layout: Layout, reference: Summary, scopes: Sequence[Scope]) -> Basis:
        """Without tolerances, rows independent."""
        zeros, ones = np.zeros(len(layout.columns)), np.ones(len(layout.columns))
        plan = ChartPlan.of(layout, reference)
        return cls(plan, reference, tuple(scopes), zeros, zeros, ones, ones)

    def by_chart(self, values: Floats, of_nulls: Floats) -> Floats:
        """Values by column as values by chart."""
        columns = self.plan.columns
        return np.where(self.plan.of_nulls, of_nulls[columns], values[columns])


@dataclass(frozen=True, slots=True)
class Spending:
    """What one check may spend, in expected false alarms of the model.

    ``steady`` says that every check may spend the same: then the charts have the run length of
    their budget, otherwise a threshold anew at each check.
    """

    windows: float
    pool: float
    method: Literal["cusum", "e-process"] = "cusum"
    steady: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """What is remembered of a model's past batches; its size does not depend on their number.

    Parameters
    ----------
    number
        Batches folded in so far.
    ids
        Names of the batches that are still referred to, by number.
    pool
        The reference's counts and those of the batches that were taken for normal.
    windows
        One for each of :data:`~shiftwatch.memory.windows.LENGTHS`.
    held
        By length: what the window said when it was last full, by scope.
    charts
        Cumulative sums or e-processes.
    since
        Counts of their excursions.
    frozen
        Whether the pool stands still.
    """

    number: int
    ids: Mapping[int, str]
    pool: Summary
    windows: tuple[Window, ...]
    held: Mapping[int, Mapping[Scope, SlowEvidence]]
    charts: Sums | Evidences
    since: Since
    frozen: bool = False

    @classmethod
    def new(cls, basis: Basis, method: Literal["cusum", "e-process"] = "cusum") -> Memory:
        """Of a model without a past."""
        nothing = basis.reference - basis.reference
        kind = Sums if method == "cusum" else Evidences
        sides = 2 if method == "cusum" else 1
        return cls(
            number=0,
            ids={},
            pool=basis.reference,
            windows=tuple(Window(nothing, 0, 0, 0.0) for _ in LENGTHS),
            held={},
            charts=kind.empty(basis.plan.charts),
            since=Since.empty(basis.reference, sides),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """A batch that was looked at, and not yet taken in or left out."""

    memory: Memory
    batch: Summary
    evidence: Mapping[Scope, Mapping[str, SlowEvidence]]
    crossing: NDArray[np.bool_] = field(default_factory=lambda: np.zeros((0, 2), dtype=np.bool_))
    """Charts and sides whose threshold this batch crossed, shape (charts, sides)."""


def observe(
    basis: Basis,
    memory: Memory,
    batch: tuple[Summary, str],
    spending: Spending,
    rng: np.random.Generator,
) -> Observed:
    """Move charts and windows on by one batch.

    Parameters
    ----------
    basis, memory
        What the memory rests on, and the memory after the batch before.
    batch
        Its summary and its id.
    spending
        What this check may spend.
    rng
        Parts ties, and permutes where the method asks for it.
    """
    summary, batch_id = batch
    number = memory.number
    moved = replace(memory, number=number + 1, ids={**memory.ids, number: batch_id})
    moved, pool, crossing = _pool(basis, moved, summary, spending, rng)
    moved, window = _windows(basis, moved, summary, spending)
    evidence = {
        scope: {
            name: layer[scope]
            for name, layer in (("window", window), ("pool", pool))
            if scope in layer
        }
        for scope in TESTED_SCOPES
    }
    return Observed(moved, summary, evidence, crossing)


@dataclass(frozen=True, slots=True)
class Alarms:
    """What became of the alarms of the tested scopes with this batch."""

    on: bool = False
    """Whether one is on after it: then the pool stands still."""
    raised: bool = False
    """Whether one rose: then the windows begin anew, or one bad batch would raise the alarm again
    in every window that still holds it."""
    cleared: tuple[Scope, ...] = ()
    """Scopes whose alarm ended: their charts begin anew, and all windows."""


def settle(basis: Basis, observed: Observed, alarms: Alarms) -> Memory:
    """The memory after the batch, once it is known which alarms are on.

    Parameters
    ----------
    basis, observed
        As above.
    alarms
        What was decided.
    """
    memory = observed.memory
    pool = memory.pool
    if not alarms.on:
        pool = pool + observed.batch
    elif not memory.frozen:
        pool = _without_change(basis, observed)
    if alarms.raised or alarms.cleared:
        memory = replace(memory, windows=tuple(windows.emptied(w) for w in memory.windows))
    if alarms.cleared:
        memory = replace(_begun_anew(basis, memory, alarms.cleared), held={})
    used = set(np.unique(memory.charts.starts).tolist())
    used |= {window.first for window in memory.windows if window.held}
    ids = {number: name for number, name in memory.ids.items() if number in used}
    return replace(memory, pool=pool, frozen=alarms.on, ids=ids)


# --- the growing pool ----------------------------------------------------------------------------


def _pool(
    basis: Basis,
    memory: Memory,
    batch: Summary,
    spending: Spending,
    rng: np.random.Generator,
) -> tuple[Memory, dict[Scope, SlowEvidence], NDArray[np.bool_]]:
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
        p = permuted_p_values(plan, batch, memory.pool, draws, rng)
        charts = evidences = memory.charts.after(p, memory.number - 1, spending.pool)
        running = (evidences.starts >= 0)[:, None]
        ratios = _log_ratios(evidences.evidence(), plan, spending.pool)[:, None]
    since = memory.since.after(plan, batch, running)
    matters = _matters(basis, since, kappas, spending.pool)
    evidence = _strongest(basis, replace(memory, charts=charts), ratios, matters)
    return replace(memory, charts=charts, since=since), evidence, (ratios >= 1) & matters


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


def _matters(basis: Basis, since: Since, kappas: Floats, level: float) -> NDArray[np.bool_]:
    """Whether the effect since the start could exceed, or does exceed, what matters."""
    effects, slack = since.effects(basis.plan, basis.reference, kappas)
    smallest = basis.by_chart(basis.tolerances, basis.null_tolerances)[:, None]
    if not basis.prove:
        return np.asarray(effects + math.sqrt(math.log(4 / _ERROR) / 2) * slack > smallest)
    share = np.maximum(basis.plan.shares * level, 1e-300)[:, None]
    return np.asarray(effects - np.sqrt(np.log(4 / share) / 2) * slack > smallest)


def _strongest(
    basis: Basis, memory: Memory, ratios: Floats, matters: NDArray[np.bool_]
) -> dict[Scope, SlowEvidence]:
    found: dict[Scope, SlowEvidence] = {}
    ratios = np.where(matters, ratios, np.minimum(ratios, 0.0))
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


def _without_change(basis: Basis, observed: Observed) -> Summary:
    """The pool without what entered it since the start of the crossing excursions."""
    memory, plan = observed.memory, basis.plan
    numeric, cells, nulls = (
        np.array(counts) for counts in (memory.pool.numeric, memory.pool.cells, memory.pool.nulls)
    )
    taken: set[int] = set()
    for chart, side in np.argwhere(observed.crossing).tolist():
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
    return Summary(numeric, cells, nulls)


def _begun_anew(basis: Basis, memory: Memory, cleared: Sequence[Scope]) -> Memory:
    own = np.array([basis.scopes[column] in cleared for column in basis.plan.columns], dtype=bool)
    charts = memory.charts
    if isinstance(charts, Sums):
        heights = np.where(own[:, None], 0.0, charts.heights)
        charts = Sums(heights, np.where(own[:, None], -1, charts.starts))
        running = charts.starts >= 0
    else:
        charts = Evidences(
            np.where(own[:, None], 0.0, charts.sums), np.where(own, -1, charts.starts)
        )
        running = (charts.starts >= 0)[:, None]
    nothing = basis.reference - basis.reference
    return replace(memory, charts=charts, since=memory.since.after(basis.plan, nothing, running))


# --- the windows ---------------------------------------------------------------------------------


def _windows(
    basis: Basis, memory: Memory, batch: Summary, spending: Spending
) -> tuple[Memory, dict[Scope, SlowEvidence]]:
    level = spending.windows / len(LENGTHS)
    current: list[Window] = []
    held = {length: dict(scopes) for length, scopes in memory.held.items()}
    full: set[int] = set()
    for length, window in zip(LENGTHS, memory.windows, strict=True):
        grown = windows.added(window, batch, memory.number - 1, level)
        if grown.held == length:
            full.add(length)
            held[length] = _judged(basis, memory, grown)
            grown = windows.emptied(grown)
        current.append(grown)
    evidence: dict[Scope, SlowEvidence] = {}
    for length, scopes in held.items():
        for scope, found in scopes.items():
            fresh = found if length in full else replace(found, crossed=False)
            known = evidence.get(scope)
            if known is None or (fresh.crossed, fresh.ratio) > (known.crossed, known.ratio):
                evidence[scope] = fresh
    return replace(memory, windows=tuple(current), held=held), evidence


def _judged(basis: Basis, memory: Memory, window: Window) -> dict[Scope, SlowEvidence]:
    """What a full window says, by scope."""
    plan = basis.plan
    columns = plan.layout.columns
    p = windows.p_values(window.counts, basis.reference, (basis.kappas, basis.null_kappas))
    watched = np.concatenate([np.arange(len(columns)), len(columns) + plan.nulls])
    level = window.spent / max(1, watched.size)
    matters = _window_matters(basis, window.counts, level)
    found: dict[Scope, SlowEvidence] = {}
    for scope in TESTED_SCOPES:
        own = [u for u in watched.tolist() if basis.scopes[u % len(columns)] == scope]
        if not own:
            continue
        ordered = sorted((u for u in own if matters[u]), key=lambda u: float(p[u]))
        crossed = [u for u in ordered if p[u] <= level]
        smallest = float(p[ordered[0]]) * watched.size if ordered else 1.0
        found[scope] = SlowEvidence(
            ratio=max(0.0, math.log(min(1.0, smallest)) / math.log(min(0.5, window.spent))),
            crossed=bool(crossed),
            columns=tuple(dict.fromkeys(columns[u % len(columns)] for u in crossed)),
            change_from=memory.ids.get(window.first),
        )
    return found


def _window_matters(basis: Basis, counts: Summary, level: float) -> NDArray[np.bool_]:
    """As for the charts, for all columns and then for all rates of nulls."""
    reference = basis.reference
    effects = np.concatenate(
        [
            windows.distances(counts.numeric, reference.numeric)[0],
            windows.variation(counts.cells, reference.cells),
            windows.variation(counts.nulls, reference.nulls),
        ]
    )
    kappas = np.concatenate([basis.kappas, basis.null_kappas])
    smallest = np.concatenate([basis.tolerances, basis.null_tolerances])
    n, m = (
        np.concatenate([c.numeric.sum(axis=1), c.cells.sum(axis=1), c.nulls.sum(axis=1)])
        for c in (counts, reference)
    )
    slack = (1 / np.sqrt(np.maximum(n, 1)) + 1 / np.sqrt(np.maximum(m, 1))) * np.sqrt(kappas)
    if not basis.prove:
        return np.asarray(effects + math.sqrt(math.log(4 / _ERROR) / 2) * slack > smallest)
    return np.asarray(effects - math.sqrt(math.log(4 / max(level, 1e-300)) / 2) * slack > smallest)
