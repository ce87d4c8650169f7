"""Dependence between rows: found, measured for every test, paid for in every p-value."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy import signal, stats

from benchmarks.calibration import dependence as calibration
from shiftwatch.dependence import Order, doubts, measure
from shiftwatch.evaluate import Current, evaluate
from shiftwatch.inflation import widen
from shiftwatch.reference import Reference, prepare
from shiftwatch.sample import Sample, categorical, numeric
from shiftwatch.settings import (
    ChiSquareSettings,
    ClassifierSettings,
    ColumnSettings,
    KsSettings,
    MmdSettings,
    ModelSettings,
    TestsSettings,
)
from shiftwatch.twosample.registry import Plan, build
from shiftwatch.values import SchemaColumn

PLAN = build(
    TestsSettings(
        KsSettings(),
        ChiSquareSettings(),
        MmdSettings(permutations=99, features=32),
        ClassifierSettings(permutations=99),
    )
)
MODEL = ModelSettings(name="m", reference="r", batches="b")


def _sample(rows: int, rho: float, seed: int = 0) -> Sample:
    """A stream that depends on its past, one that does not, and their categories and nulls."""
    rng = np.random.default_rng(seed)
    moved, still = calibration.ar1(rho, rows, rng), rng.standard_normal(rows)
    codes = np.digitize(moved, [-1, 0, 1]).tolist()
    holes = np.where(calibration.ar1(rho, rows, rng) > 1, np.nan, rng.standard_normal(rows))
    return Sample(
        rows,
        (
            numeric("moved", moved),
            numeric("still", still),
            numeric("holes", holes),
            categorical("codes", [f"k{code}" for code in codes]),
        ),
    )


def _schema(sample: Sample) -> list[SchemaColumn]:
    return [SchemaColumn(c.name, c.kind, c.role, c.type) for c in sample.columns]


def _measured(sample: Sample, plan: Plan = PLAN, order: Order | None = None) -> Reference:
    reference = prepare(sample, _schema(sample), plan, 0)
    return measure(reference, sample, order or Order(), plan, 0)


@pytest.fixture(scope="module")
def known() -> Reference:
    return _measured(_sample(20_000, 0.9))


def test_every_test_of_a_dependent_column_gets_an_inflation_and_no_other(
    known: Reference,
) -> None:
    assert known.order["dependent"]
    assert set(known.inflations) == {
        "ks/input/moved",
        "ks/input/holes",
        "chi2/input/codes",
        "nulls/input/holes",
        "mmd/input/*",
        "c2st/input/*",
    }
    for found in known.inflations.values():
        assert [each.length for each in found] == [100, 500, 2000]
        assert all(each.kappa >= 1 and each.windows >= 10 for each in found)
    assert known.kappa("ks", "input", "moved", 500) == pytest.approx(12.4, rel=0.4)
    assert known.kappa("ks", "input", "still", 500) == 1.0


def test_a_rate_is_inflated_as_much_as_its_own_long_run_variance(known: Reference) -> None:
    """Nulls are one squared difference, so kappa is a ratio of variances, known from the windows."""
    sample = _sample(20_000, 0.9)
    nulls = (~sample.column("holes").valid).astype(float)
    means = nulls.reshape(-1, 500).mean(axis=1)
    ratio = means.var(ddof=1) * 500 / nulls.var()
    assert known.kappa("nulls", "input", "holes", 500) == pytest.approx(ratio, rel=0.25)


def test_results_carry_the_widened_p_value_the_inflation_and_a_wider_interval(
    known: Reference,
) -> None:
    batch = _sample(500, 0.9, seed=5)
    current = Current(batch, {}, "b")
    plain = evaluate(replace(known, inflations={}), current, PLAN, 0)
    wide = evaluate(known, current, PLAN, 0)
    for before, after in zip(plain.results, wide.results, strict=True):
        measured = known.inflation(before.test, "input", before.target, before.rows_current)
        assert (after.statistic, after.effect) == (before.statistic, before.effect)
        if measured is None:
            assert after == before
            assert after.inflation == 1.0
            continue
        assert after.inflation == measured.kappa
        assert after.p_value == pytest.approx(
            widen(before.p_value, measured, before.effect), rel=1e-7
        )
        if before.effect_low is not None and before.effect_high is not None:
            assert after.effect_low is not None
            assert after.effect_high is not None
            assert 0 <= after.effect_low <= before.effect_low
            assert before.effect_high <= after.effect_high <= 1


def test_what_was_measured_survives_the_cache(known: Reference) -> None:
    arrays, facts = known.to_plain()
    again = Reference.from_plain(arrays, json.loads(json.dumps(facts)))
    assert again.inflations == {k: tuple(v) for k, v in known.inflations.items()}
    assert again.order == known.order


def test_independent_rows_lose_nothing() -> None:
    for seed in range(5):
        reference = _measured(_sample(5000, 0.0, seed))
        assert not reference.order["dependent"]
        assert reference.inflations == {}


def test_the_same_reference_is_measured_the_same_twice() -> None:
    sample = _sample(6000, 0.8)
    assert _measured(sample).to_plain()[1] == _measured(sample).to_plain()[1]


def test_a_reference_in_which_nothing_can_be_measured_is_left_alone() -> None:
    short = _measured(_sample(200, 0.9))
    assert (short.order["judged"], short.order["dependent"]) == (False, False)
    constant = Sample(4000, (numeric("x", [1.0] * 4000), numeric("n", [float("nan")] * 4000)))
    assert not _measured(constant).order["dependent"]
    texts = Sample(4000, (categorical("c", [None] * 4000),))
    assert not _measured(texts).order["dependent"]


def test_an_order_that_may_mean_nothing_is_told_and_widens_no_p_value() -> None:
    sample = _sample(6000, 0.9)
    sorted_ = _measured(sample, order=Order(known=False))
    assert sorted_.order["dependent"]
    assert sorted_.inflations == {}
    (told,) = doubts(sorted_, 100, MODEL, None)
    assert "in the order of the file" in told
    assert "name `columns.time`" in told


def test_a_long_reference_in_file_order_is_glanced_at_and_still_found_out() -> None:
    """40 000 of 120 000 rows are looked at: sorted by label, by customer, or a weak stream."""
    rng = np.random.default_rng(8)
    rows, noise = 120_000, rng.standard_normal(120_000)
    customers = np.repeat(rng.standard_normal(rows // 50), 50)
    orders = {
        "by label": noise + 0.2 * (np.arange(rows) < rows // 2),
        "by customer": noise + 0.2 * customers,
        "stream": signal.lfilter([1], [1, -0.15], noise),
        "shuffled": noise,
    }
    plan = build(TestsSettings(ks=KsSettings()))
    found = {
        name: _measured(Sample(rows, (numeric("x", values),)), plan, Order(known=False)).order
        for name, values in orders.items()
    }
    assert [name for name, order in found.items() if not order["dependent"]] == ["shuffled"]


def test_doubts_are_named(known: Reference) -> None:
    assert doubts(known, 500, MODEL, None) == ()
    (short,) = doubts(known, 2100, MODEL, None)
    assert "the reference (20000 rows) is shorter than 10 batches (2100 rows each)" in short
    (starved,) = doubts(known, 50, MODEL, None)
    assert "50 of them say as much as" in starved
    assert "'moved'" in starved or "'codes'" in starved or "'holes'" in starved
    assert doubts(replace(known, order={}), 5, MODEL, None) == (), "an older measurement"


def test_an_unused_season_is_named_with_the_key_to_set() -> None:
    times = np.linspace(0, 40 * 86_400, 20_000)
    rng = np.random.default_rng(1)
    values = rng.standard_normal(20_000) + np.sin(2 * np.pi * times / 86_400)
    sample = Sample(20_000, (numeric("load", values),))
    reference = _measured(sample, order=Order(times))
    assert reference.order["season"]["day"]["column"] == "load"
    *_, text = doubts(reference, 125, MODEL, 6 * 3600.0)
    assert "column 'load' follows the day (3" in text, "1/3 of the variance, a little less of ranks"
    assert text.endswith("write `season: day`")
    timed = replace(MODEL, columns=ColumnSettings(time="t"), season="day")
    for told in (doubts(reference, 500, MODEL, 86_400.0), doubts(reference, 125, timed, 3600.0)):
        assert not any("season" in each for each in told)


# Level and power ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_dependent_stream_keeps_its_level() -> None:
    """AR(1) .9; as if rows were independent it is .73 at .05 and .45 at .001."""
    runs = 60
    found = [calibration.stream(0.9, 0.0, number) for number in range(10_000, 10_000 + runs)]
    for test in ("ks", "chi2"):
        for level, promised in ((0.05, 0.07), (0.001, 0.002)):
            count = sum(run[f"{test} <= {level}"] for run in found)
            assert count <= stats.binom.isf(1e-3, runs, promised)


@pytest.mark.slow
def test_a_season_keeps_its_level_and_most_of_its_rows() -> None:
    """Conditioned on its hours; as if there were no season it is .74 at .05 and .71 at .001."""
    runs = 60
    found = [calibration.season_stream(number) for number in range(10_000, 10_000 + runs)]
    for level, promised in ((0.05, 0.07), (0.001, 0.002)):
        count = sum(run[f"ks <= {level}"] for run in found)
        assert count <= stats.binom.isf(1e-3, runs, promised)
    assert np.median([run["ks kappa"] for run in found]) <= 1.5
    assert np.median([run["whole kappa"] for run in found]) >= 4


@pytest.mark.slow
def test_a_joint_test_of_a_dependent_stream_keeps_its_level_and_finds_a_large_shift() -> None:
    plan = build(
        TestsSettings(
            mmd=MmdSettings(permutations=99, features=32, max_rows=2000),
            c2st=ClassifierSettings(permutations=99, max_rows=2000),
            nulls=None,
            unseen=None,
        )
    )
    runs, quiet, loud = 12, 0, 0
    for number in range(runs):
        rng = np.random.default_rng([number, 77])
        drawn = [calibration.ar1(0.9, 6600, rng) for _ in range(4)]
        sample = Sample(6600, tuple(numeric(f"x{i}", each) for i, each in enumerate(drawn)))
        reference = _measured(sample.take(np.arange(6000)), plan)
        batch = sample.take(np.arange(6000, 6600))
        far = Sample(
            600, tuple(numeric(c.name, [float(v) + 2 for v in c.values]) for c in batch.columns)
        )
        now = evaluate(reference, Current(batch, {}, "b"), plan, 0).results
        then = evaluate(reference, Current(far, {}, "b"), plan, 0).results
        quiet += min(result.p_value for result in now) <= 0.01
        loud += min(result.p_value for result in then) <= 0.01
    assert quiet <= stats.binom.isf(1e-3, runs, 2 * 0.01)
    assert loud >= 0.8 * runs


# Real streams ------------------------------------------------------------------------------------

REAL = {
    "electricity": ("electricity_nsw/electricity.parquet", ("nswprice", "nswdemand"), 17_500),
    "weather": ("noaa_weather/weather.parquet", ("feat_1", "feat_4"), 0),
    "bikes": ("bike_sharing/hour.parquet", ("temp", "cnt"), 0),
}


@pytest.mark.parametrize("name", REAL)
def test_real_streams_are_found_to_depend_on_their_past(shared_data: Path, name: str) -> None:
    file, columns, first = REAL[name]
    table = pq.read_table(shared_data / file, columns=list(columns)).slice(first, 8000)
    values = tuple(numeric(c, [float(v) for v in table.column(c).to_pylist()]) for c in columns)
    plan = build(TestsSettings(ks=KsSettings()))
    sample = Sample(table.num_rows, values)
    reference = _measured(sample, plan)
    assert reference.order["dependent"]
    for column in columns:
        assert reference.kappa("ks", "input", column, 100) > 3
    (starved,) = doubts(reference, 100, MODEL, None)
    assert "batches that cover more time would help" in starved
    shuffled = sample.take(np.random.default_rng(0).permutation(sample.rows))
    assert not _measured(shuffled, plan).order["dependent"]


def test_on_real_weeks_nearly_all_naive_p_values_are_small_and_few_widened_ones(
    shared_data: Path,
) -> None:
    """Half-hourly electricity: 20 000 rows, and the 22 weeks after them."""
    names = ("nswprice", "nswdemand", "vicprice", "vicdemand", "transfer")
    table = pq.read_table(shared_data / "electricity_nsw/electricity.parquet", columns=list(names))
    columns = [numeric(c, [float(v) for v in table.column(c).to_pylist()]) for c in names]
    sample = Sample(table.num_rows, tuple(columns)).take(np.arange(17_500, table.num_rows))
    plan = build(TestsSettings(ks=KsSettings()))
    reference = _measured(sample.take(np.arange(20_000)), plan)

    def small(known: Reference) -> float:
        weeks = [sample.take(np.arange(336) + 20_000 + 336 * week) for week in range(22)]
        checks = [evaluate(known, Current(week, {}, "w"), plan, 0).results for week in weeks]
        tested = [result for results in checks for result in results if result.test == "ks"]
        return float(np.mean([result.p_value <= 0.05 for result in tested]))

    assert small(replace(reference, inflations={})) > 0.9
    assert small(reference) < 0.1
