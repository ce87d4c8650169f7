"""The slow layers: scores, charts, windows, the pool, and what they promise."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from shiftwatch import summary
from shiftwatch.memory import charts, codec, scores, windows
from shiftwatch.memory.fold import (
    Alarms,
    Basis,
    Memory,
    Observed,
    Spending,
    observe,
    settle,
)
from shiftwatch.memory.permuted import permuted_p_values
from shiftwatch.sample import Column, Sample, categorical, numeric
from shiftwatch.summary import Layout, Summary
from shiftwatch.values import SchemaColumn, Scope, SlowEvidence

Rng = np.random.Generator
Counts = NDArray[np.int64]
Law = Callable[[Rng, int], Sample]


def law(shift: float = 0.0, nulls: float = 0.1, plan: float = 0.5) -> Law:
    """Three numbers, one with ties and one with nulls; a category of two and one of many levels."""

    def draw(rng: Rng, rows: int) -> Sample:
        income = np.exp(rng.standard_normal(rows)) * np.exp(shift)
        visits = rng.poisson(2, rows).astype(float)
        age = rng.standard_normal(rows)
        age[rng.random(rows) < nulls] = np.nan
        plans = np.where(rng.random(rows) < plan, "basic", "pro").tolist()
        cities = [f"city {x}" for x in rng.zipf(1.7, rows) % 200]
        columns: tuple[Column, ...] = (
            numeric("income", income),
            numeric("visits", visits),
            numeric("age", age),
            categorical("plan", plans),
            categorical("city", cities),
        )
        return Sample(rows, columns)

    return draw


def schema_of(sample: Sample) -> list[SchemaColumn]:
    return [SchemaColumn(c.name, c.kind, c.role, c.type) for c in sample.columns]


def rests_on(reference: Sample, tolerance: float = 0.0) -> Basis:
    layout = summary.lay_out(reference, schema_of(reference))
    scopes: list[Scope] = ["input"] * len(layout.columns)
    basis = Basis.plain(layout, layout.summarise(reference), scopes)
    everywhere = np.full(len(layout.columns), tolerance)
    return replace(basis, tolerances=everywhere, null_tolerances=everywhere / 4)


class Stream:
    """A model's memory over batches, with alarms latched the simplest way."""

    def __init__(
        self,
        basis: Basis,
        per_checks: float = 1000,
        method: Literal["cusum", "e-process"] = "cusum",
        seed: int = 0,
    ) -> None:
        self.basis = basis
        self.spending = Spending(0.2 / per_checks, 0.65 / per_checks, method)
        self.memory = Memory.new(basis, method)
        self.rng = np.random.default_rng(seed)
        self.seen = 0

    def look(self, sample: Sample) -> Observed:
        counted = self.basis.plan.layout.summarise(sample)
        name = f"b{self.seen}"
        self.seen += 1
        return observe(self.basis, self.memory, (counted, name), self.spending, self.rng)

    def take(self, sample: Sample, *, latched: bool = False) -> dict[str, SlowEvidence]:
        """Look and settle; an alarm is left at once unless it is to be latched."""
        observed = self.look(sample)
        evidence = dict(observed.evidence["input"])
        raised = any(layer.crossed for layer in evidence.values())
        on = latched and (raised or self.memory.frozen)
        cleared: tuple[Scope, ...] = ("input",) if raised and not latched else ()
        alarms = Alarms(on=on, raised=raised and not self.memory.frozen, cleared=cleared)
        self.memory = settle(self.basis, observed, alarms)
        return evidence


# --- scores --------------------------------------------------------------------------------------


def test_the_level_score_is_the_standardised_rank_sum_of_scipy() -> None:
    rng = np.random.default_rng(1)
    reference, batch = rng.standard_normal(400), rng.standard_normal(100) + 0.2
    sample = Sample(400, (numeric("x", reference),))
    every = np.sort(np.concatenate([reference, batch]))
    layout = Layout(("x",), (), every[None, 1:], ())
    found = scores.rank_scores(
        layout.summarise(Sample(100, (numeric("x", batch),))).numeric,
        layout.summarise(sample).numeric,
    )
    p = stats.mannwhitneyu(
        batch, reference, use_continuity=False, method="asymptotic", alternative="greater"
    ).pvalue
    assert found.level[0] == pytest.approx(stats.norm.isf(p), abs=1e-6)


def test_moments_of_the_scores_are_those_of_all_draws() -> None:
    """By hand: every choice of 3 of 8 rows in bins of unequal size."""
    from itertools import combinations  # noqa: PLC0415 - used here alone

    pooled = np.array([4, 1, 2, 1])
    rows = np.repeat(np.arange(4), pooled)
    found = []
    for chosen in combinations(range(8), 3):
        batch = np.bincount(rows[list(chosen)], minlength=4)
        ranks = (np.cumsum(pooled) - pooled / 2) / 8 - 0.5
        found.append(batch @ ranks)
    standard = (np.array(found) - np.mean(found)) / np.std(found)
    skewness = float(np.mean(standard**3))
    for value, chosen in zip(standard, combinations(range(8), 3), strict=True):
        batch = np.bincount(rows[list(chosen)], minlength=4)[None, :]
        score = scores.rank_scores(batch, pooled[None, :] - batch).level[0]
        expected = scores.unskewed(np.array([value]), np.array([skewness]))[0]
        assert score == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("marked", "n", "total"), [(3, 50, 1000), (40, 500, 5500), (900, 60, 1000)]
)
def test_share_scores_are_exactly_standard_normal(marked: int, n: int, total: int) -> None:
    rng = np.random.default_rng(2)
    runs = 20_000
    hits = rng.hypergeometric(marked, total - marked, n, size=runs)
    size, pooled, every = (np.full(runs, value) for value in (n, marked, total))
    z = scores.share_scores(hits, size, pooled, every, rng.random(runs))
    assert stats.kstest(z, "norm").pvalue > 0.001


def test_tail_bounds_are_rigorous_and_sharp() -> None:
    rng = np.random.default_rng(3)
    for _ in range(300):
        total = int(rng.integers(50, 5000))
        marked, n = int(rng.integers(1, total)), int(rng.integers(1, total))
        x = int(rng.integers(max(0, n + marked - total), min(n, marked) + 1))
        exact = stats.hypergeom(total, marked, n)
        truth = 2 * min(exact.sf(x - 1), exact.cdf(x))
        (bound,) = scores.tail_bounds(*(np.array([v]) for v in (x, n, marked, total)))
        assert bound >= min(1.0, truth) * (1 - 1e-6)
        if truth < 1e-4:
            assert bound <= truth * 1.5 + 1e-290


# --- charts --------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("length", [100.0, 1000.0])
def test_the_threshold_gives_the_run_length_it_is_asked_for(length: float) -> None:
    """Siegmund's formula against simulation, 2000 one-sided charts."""
    rng = np.random.default_rng(4)
    (height,) = charts.run_length_threshold(np.array([length]))
    sums = np.zeros(2000)
    crossings, steps = 0, 3000
    for _ in range(steps):
        sums = np.maximum(0.0, sums + rng.standard_normal(sums.size) - charts.SLACK)
        hit = sums >= height
        crossings += int(hit.sum())
        sums[hit] = 0.0
    assert 2000 * steps / crossings == pytest.approx(length, rel=0.08)


def test_the_other_threshold_is_exceeded_as_often_as_it_is_asked_for() -> None:
    rng = np.random.default_rng(5)
    (height,) = charts.tail_threshold(np.array([0.01]))
    sums, above, steps = np.zeros(4000), 0, 400
    for step in range(steps + 100):
        sums = np.maximum(0.0, sums + rng.standard_normal(sums.size) - charts.SLACK)
        above += int((sums >= height).sum()) if step >= 100 else 0
    assert above / (4000 * steps) == pytest.approx(0.01, rel=0.25)


def test_an_e_process_exceeds_its_threshold_no_more_often_than_was_spent() -> None:
    """Within 200 checks that spend 1/1000 each: 1 in 5 at most, by Doob's inequality."""
    rng = np.random.default_rng(6)
    evidences = charts.Evidences.empty(2000)
    crossed = np.zeros(2000, dtype=bool)
    for number in range(200):
        evidences = evidences.after(rng.random(2000), number, 1 / 1000)
        crossed |= evidences.evidence() >= 1
    assert 0.005 < crossed.mean() <= 0.2


# --- summaries -----------------------------------------------------------------------------------


def test_summaries_of_two_batches_add_up_to_the_summary_of_both() -> None:
    rng = np.random.default_rng(7)
    reference, batch = law()(rng, 800), law()(rng, 300)
    layout = summary.lay_out(reference, schema_of(reference))
    halves = [batch.take(np.arange(0, 120)), batch.take(np.arange(120, 300))]
    whole, parts = layout.summarise(batch), [layout.summarise(half) for half in halves]
    both = parts[0] + parts[1]
    for name in ("numeric", "cells", "nulls"):
        assert np.array_equal(getattr(whole, name), getattr(both, name))


def test_no_cell_is_only_for_categories_the_reference_lacks() -> None:
    rng = np.random.default_rng(8)
    reference = law()(rng, 500)
    layout = summary.lay_out(reference, schema_of(reference))
    strange = Sample(40, (categorical("plan", ["never seen"] * 40),))
    filled = layout.summarise(strange).cells[0] > 0
    known = layout.summarise(reference).cells[0] > 0
    assert filled.sum() == 1
    assert known[filled].all()


def test_a_layout_and_its_counts_survive_being_plain() -> None:
    reference = law()(np.random.default_rng(9), 400)
    prepared = summary.prepare(reference, schema_of(reference))
    layout, own = summary.restore(prepared)
    assert np.array_equal(own.numeric, layout.summarise(reference).numeric)
    assert layout.columns == ("income", "visits", "age", "plan", "city")


# --- windows -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_window_p_values_keep_their_level_for_every_kind_of_column() -> None:
    rng = np.random.default_rng(10)
    runs, found = 1500, []
    for _ in range(runs):
        reference, batch = law()(rng, 600), law()(rng, 400)
        basis = rests_on(reference)
        layout = basis.plan.layout
        ones = np.ones(len(layout.columns))
        found.append(windows.p_values(layout.summarise(batch), basis.reference, (ones, ones)))
    for level in (0.1, 0.01):
        rates = np.mean(np.array(found) <= level, axis=0)
        assert (rates <= level + 4 * np.sqrt(level * (1 - level) / runs)).all(), rates


# --- the fold ------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("method", ["cusum", "e-process"])
def test_false_alarms_stay_within_the_budget(method: Literal["cusum", "e-process"]) -> None:
    """1 in 40 checks is given; the windows and the pool together may spend 0.85 of it."""
    per_checks, alarms = 40, 0
    checks = 1600 if method == "cusum" else 240
    references = 4
    for seed in range(references):
        rng = np.random.default_rng(100 + seed)
        stream = Stream(rests_on(law()(rng, 2000)), per_checks, method, seed)
        for _ in range(checks // references):
            evidence = stream.take(law()(rng, 200))
            alarms += any(layer.crossed for layer in evidence.values())
    expected = 0.85 * checks / per_checks
    assert alarms <= expected + 3 * np.sqrt(expected)
    assert alarms > 0 or method == "e-process"  # a detector that never speaks keeps every budget


@pytest.mark.slow
@pytest.mark.parametrize("method", ["cusum", "e-process"])
def test_a_small_lasting_shift_is_found_named_and_dated(
    method: Literal["cusum", "e-process"],
) -> None:
    rng = np.random.default_rng(12)
    stream = Stream(rests_on(law()(rng, 4000), 0.02), method=method)
    for _ in range(30):
        assert not any(layer.crossed for layer in stream.take(law()(rng, 500)).values())
    checks = 0
    while checks < 40 and not stream.memory.frozen:
        evidence = stream.take(law(shift=0.2)(rng, 500), latched=True)
        checks += 1
    assert checks <= (8 if method == "cusum" else 30)
    strongest = max(evidence.values(), key=lambda layer: layer.ratio)
    assert strongest.columns == ("income",)
    assert strongest.change_from is not None
    assert 26 <= int(strongest.change_from[1:]) <= 33


@pytest.mark.parametrize(
    ("changed", "column"),
    [(law(plan=0.56), "plan"), (law(nulls=0.15), "age")],
    ids=["share", "nulls"],
)
def test_shares_and_nulls_have_charts_of_their_own(changed: Law, column: str) -> None:
    rng = np.random.default_rng(13)
    stream = Stream(rests_on(law()(rng, 4000)))
    for _ in range(20):
        stream.take(law()(rng, 500))
    for _ in range(12):
        evidence = stream.take(changed(rng, 500), latched=True)
        if evidence["pool"].crossed:
            break
    assert evidence["pool"].crossed
    assert evidence["pool"].columns == (column,)


def test_the_pool_stands_still_in_an_alarm_and_gives_back_what_had_entered() -> None:
    rng = np.random.default_rng(14)
    reference = law()(rng, 4000)
    stream = Stream(rests_on(reference))
    clean = 10
    for _ in range(clean):
        stream.take(law()(rng, 500))
    before = stream.memory.pool.numeric[0].sum()
    assert before == 4000 + clean * 500
    while not stream.memory.frozen:
        stream.take(law(shift=0.2)(rng, 500), latched=True)
    after = stream.memory.pool.numeric[0].sum()
    assert before - 2 * 500 <= after <= before  # the start is an estimate
    stream.take(law(shift=0.2)(rng, 500), latched=True)
    assert stream.memory.pool.numeric[0].sum() == after


def test_one_bad_batch_raises_no_second_alarm_from_the_windows_that_hold_it() -> None:
    rng = np.random.default_rng(15)
    stream = Stream(rests_on(law()(rng, 4000)))
    for _ in range(5):
        stream.take(law()(rng, 500))
    observed = stream.look(law(shift=2.0)(rng, 500))
    stream.memory = settle(stream.basis, observed, Alarms(on=True, raised=True))
    observed = stream.look(law()(rng, 500))
    stream.memory = settle(stream.basis, observed, Alarms(cleared=("input",)))
    for _ in range(70):
        evidence = stream.take(law()(rng, 500))
        assert not any(layer.crossed for layer in evidence.values())


@pytest.mark.slow
def test_a_shift_below_the_tolerance_is_suppressed_and_a_large_one_is_not() -> None:
    rng = np.random.default_rng(16)
    basis = rests_on(law()(rng, 200_000), 0.02)
    for proving in (False, True):
        stream = Stream(replace(basis, prove=proving))
        for _ in range(12):
            evidence = stream.take(law(shift=0.015)(rng, 50_000))
            assert not any(layer.crossed for layer in evidence.values())
        # An excursion that began with trifles dilutes what follows: a proof takes longer.
        crossed = [
            stream.take(law(shift=0.2)(rng, 50_000), latched=True)["pool"].crossed for _ in range(4)
        ]
        assert crossed[3 if proving else 0]


def test_a_prepared_column_that_a_batch_lacks_says_nothing() -> None:
    rng = np.random.default_rng(17)
    stream = Stream(rests_on(law()(rng, 1000)))
    short = Sample(200, law()(rng, 200).columns[1:])
    evidence = stream.take(short)
    assert evidence["pool"].ratio < 1
    assert stream.memory.pool.numeric[0].sum() == 1000


def test_inflation_by_dependence_is_paid_for() -> None:
    rng = np.random.default_rng(18)
    reference, batch = law()(rng, 2000), law(shift=0.2)(rng, 500)
    plain = rests_on(reference)
    inflated = replace(plain, kappas=np.full(len(plain.scopes), 4.0))
    for method in ("cusum", "e-process"):
        ratios = [
            Stream(basis, method=method).take(batch)["pool"].ratio for basis in (plain, inflated)
        ]
        assert ratios[1] < ratios[0]


# --- exactness of the permuted p-values ----------------------------------------------------------


@pytest.mark.slow
def test_permuted_p_values_are_uniform_and_independent_over_batches() -> None:
    rng = np.random.default_rng(19)
    found: list[NDArray[np.float64]] = []
    for _ in range(60):
        basis = rests_on(law()(rng, 60))
        pool = basis.reference
        for _ in range(3):
            batch = basis.plan.layout.summarise(law()(rng, 40))
            draws = rng.random(basis.plan.charts)
            found.append(permuted_p_values(basis.plan, batch, pool, draws, rng)[:3])
            pool = pool + batch
    p = np.array(found)
    assert stats.kstest(p[:, 0], "uniform").pvalue > 0.001
    series = p.reshape(60, 3, 3)[:, :, 0]
    assert stats.spearmanr(series[:, 0], series[:, 1]).pvalue > 0.001


# --- as text -------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("method", ["cusum", "e-process"])
def test_folding_through_text_is_the_same_as_folding(
    method: Literal["cusum", "e-process"],
) -> None:
    rng = np.random.default_rng(20)
    basis = rests_on(law()(rng, 1000))
    batches = [law(shift=0.1)(rng, 100) for _ in range(9)]
    straight, written = Stream(basis, method=method), Stream(basis, method=method)
    for batch in batches:
        one, other = straight.take(batch), written.take(batch)
        assert one == other
        restored = codec.decode(codec.encode(written.memory, basis), basis, method)
        assert restored is not None
        written.memory = restored
    assert codec.encode(straight.memory, basis) == codec.encode(written.memory, basis)


def test_the_text_does_not_grow_with_the_number_of_batches() -> None:
    rng = np.random.default_rng(21)
    stream = Stream(rests_on(law()(rng, 1000)))
    sizes = []
    for number in range(400):
        stream.take(law()(rng, 100))
        if number in (99, 399):
            sizes.append(len(codec.encode(stream.memory, stream.basis)))
    assert sizes[1] < 1.5 * sizes[0]


def test_a_memory_written_before_bytes_were_sorted_is_still_read() -> None:
    rng = np.random.default_rng(23)
    stream = Stream(rests_on(law()(rng, 500)))
    stream.take(law()(rng, 100))
    text = codec.encode(stream.memory, stream.basis)
    head, _, body = text.partition("\n")
    sorted_by_place = np.frombuffer(zlib.decompress(base64.b64decode(body)), np.uint8)
    plain = sorted_by_place.reshape(4, -1).T.tobytes()
    before = json.dumps(json.loads(head) | {"version": 1}, sort_keys=True)
    old = before + "\n" + base64.b64encode(zlib.compress(plain, 6)).decode("ascii")
    read = codec.decode(old, stream.basis, "cusum")
    assert read is not None
    assert codec.encode(read, stream.basis) == text


def test_a_memory_of_other_columns_is_not_taken_for_ours() -> None:
    rng = np.random.default_rng(22)
    reference = law()(rng, 500)
    basis = rests_on(reference)
    fewer = rests_on(Sample(500, reference.columns[:2]))
    text = codec.encode(Memory.new(basis), basis)
    assert codec.decode(text, fewer, "cusum") is None
    assert codec.decode(text, basis, "e-process") is None


def counts_of(memory: Memory) -> Sequence[Summary]:
    return [memory.pool, *(window.counts for window in memory.windows)]


def test_counts_are_never_negative() -> None:
    rng = np.random.default_rng(23)
    stream = Stream(rests_on(law()(rng, 500)), per_checks=3)
    for number in range(120):
        stream.take(law(shift=0.4 * (number % 40 > 20))(rng, 60), latched=number % 7 > 0)
        for held in counts_of(stream.memory):
            assert min(held.numeric.min(), held.cells.min(), held.nulls.min()) >= 0
