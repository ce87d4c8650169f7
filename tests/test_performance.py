"""Accuracy without labels: in its band where labels go with inputs as before, and honest elsewhere."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from shiftwatch.performance import estimate, prepare
from shiftwatch.performance.answers import probability_columns
from shiftwatch.performance.isotonic import isotonic
from shiftwatch.report import render_html
from shiftwatch.sample import Sample, categorical, numeric
from shiftwatch.settings import ColumnSettings, KsSettings, ModelSettings, TestsSettings
from shiftwatch.values import SchemaColumn
from tests.streams import judge, write_batches

Floats = NDArray[np.float64]
LABEL, SCORE = "outcome", "score"


def logistic(x: Floats) -> Floats:
    return 1 / (1 + np.exp(-x))


class World:
    """Two classes; the model is too sure of itself by a factor, so its scores are no frequencies."""

    def __init__(self, seed: int, sureness: float = 1.8, drift: float = 0.0) -> None:
        self.rng = np.random.default_rng(seed)
        self.sureness = sureness
        self.drift = drift

    def rows(self, count: int, mean: float) -> tuple[Floats, Floats]:
        """Scores and labels of inputs around a mean."""
        x = self.rng.normal(mean, 1.2, count)
        labels = (self.rng.random(count) < logistic(1.5 * x + self.drift)).astype(float)
        return logistic(self.sureness * 1.5 * x), labels


def sample_of(score: Floats, labels: Floats | None = None) -> Sample:
    columns = [numeric(SCORE, score, "prediction")]
    columns += [numeric(LABEL, labels)] if labels is not None else []
    return Sample(score.size, tuple(columns))


SCHEMA = (SchemaColumn(SCORE, "numeric", "prediction", "double"),)


def estimated(world: World, reference: int, batch: int, mean: float) -> dict[str, Any]:
    prepared = prepare(sample_of(*world.rows(reference, 0.0)), SCHEMA, LABEL)
    return estimate(prepared, sample_of(world.rows(batch, mean)[0]))


def true_change(mean: float, sureness: float = 1.8, drift: float = 0.0) -> float:
    """Of the accuracy itself, by very many rows."""
    world = World(99, sureness)
    right = [((s > 0.5) == y).mean() for s, y in [world.rows(400_000, 0.0)]]
    shifted = World(98, sureness, drift)
    now = [((s > 0.5) == y).mean() for s, y in [shifted.rows(400_000, mean)]]
    return float(now[0] - right[0])


@pytest.mark.parametrize("mean", [0.0, 0.8, -1.5, 2.0])
def test_the_band_holds_the_true_change_where_labels_go_with_inputs_as_before(mean: float) -> None:
    truth = true_change(mean)
    inside = 0
    for seed in range(60):
        found = estimated(World(seed), 4000, 1000, mean)
        # The reference's own accuracy is a draw too, which the band allows for.
        inside += found["change_low"] <= truth <= found["change_high"]
    assert inside >= 54, (mean, truth, inside)


@pytest.mark.parametrize("mean", [0.8, -1.5])
def test_the_band_is_narrow_enough_to_say_something(mean: float) -> None:
    found = estimated(World(1), 4000, 1000, mean)
    assert found["change_high"] - found["change_low"] < 0.12


def test_a_change_of_what_labels_mean_is_not_seen_and_that_is_said() -> None:
    world = World(3, drift=0.0)
    prepared = prepare(sample_of(*world.rows(4000, 0.0)), SCHEMA, LABEL)
    drifted = World(4, drift=2.5)
    found = estimate(prepared, sample_of(drifted.rows(2000, 0.0)[0]))
    truth = true_change(0.0, drift=2.5)
    assert not found["change_low"] <= truth <= found["change_high"]
    assert "no concept drift" in found["assumes"]


def test_several_classes_with_texts_as_labels() -> None:
    rng = np.random.default_rng(2)
    logits = rng.normal(size=(3000, 3)) * 1.5
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    drawn = (shares.cumsum(axis=1) > rng.random((3000, 1))).argmax(axis=1)
    names = ("bird", "cat", "dog")
    columns = [numeric(f"p[{k}]", shares[:, k], "prediction") for k in range(3)]
    schema = [SchemaColumn(c.name, "numeric", "prediction", "double") for c in columns]
    sample = Sample(3000, (*columns, categorical(LABEL, [names[k] for k in drawn])))
    prepared = prepare(sample, schema, LABEL)
    assert prepared.facts["accuracy"] == pytest.approx((shares.argmax(axis=1) == drawn).mean())
    found = estimate(prepared, sample)
    assert found["change_low"] < 0 < found["change_high"]


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), min_size=1, max_size=40))
def test_isotonic_rises_and_keeps_the_mean(pairs: list[tuple[float, int]]) -> None:
    x = np.array([a for a, _ in pairs])
    y = np.array([float(b) for _, b in pairs])
    knots, fitted, _ = isotonic(x, y)
    assert np.all(np.diff(knots) > 0)
    assert np.all(np.diff(fitted) >= -1e-12)
    assert np.interp(x, knots, fitted).mean() == pytest.approx(y.mean(), abs=1e-9)


def test_isotonic_is_scikit_learns() -> None:
    from sklearn.isotonic import IsotonicRegression  # noqa: PLC0415

    rng = np.random.default_rng(0)
    x, y = rng.random(500), (rng.random(500) < 0.6).astype(float)
    knots, fitted, _ = isotonic(x, y)
    theirs = IsotonicRegression().fit(x, y).predict(x)
    assert np.interp(x, knots, fitted) == pytest.approx(theirs, abs=1e-6)


# --- real streams, whose labels are known ------------------------------------------------------

STREAMS = {
    # In order: files, score, label, parts, of how many the band holds the truth.
    "synthetic_car_loan_nml": ("monitoring", "y_pred_proba", "repaid", 10, 10),
    "hotel_booking": ("monitoring", "y_pred_proba", "is_canceled", 11, 7),
    # Other places, where labels go with inputs otherwise: what no method without labels can see.
    "california_housing_nml": ("analysis", "y_pred_proba", "clf_target", 6, 2),
}


def parts_of(path: Path, score: str, label: str, count: int) -> list[tuple[Floats, Floats]]:
    import pyarrow.parquet as pq  # noqa: PLC0415

    table = pq.read_table(path, columns=[score, label])
    scores = table.column(score).to_numpy().astype(float)
    labels = table.column(label).to_numpy().astype(float)
    edges = [k * scores.size // count for k in range(count + 1)]
    return [(scores[a:b], labels[a:b]) for a, b in pairwise(edges)]


@pytest.mark.parametrize("name", sorted(STREAMS))
def test_in_real_streams_the_band_holds_the_truth_as_often_as_we_say(
    name: str, shared_data: Path
) -> None:
    later, score, label, count, told = STREAMS[name]
    ((scores, labels),) = parts_of(shared_data / name / "reference.parquet", score, label, 1)
    prepared = prepare(sample_of(scores, labels), SCHEMA, LABEL)
    inside = 0
    for batch, truth in parts_of(shared_data / name / f"{later}.parquet", score, label, count):
        found = estimate(prepared, sample_of(batch))
        right = float(((batch > 0.5) == truth).mean())
        luck = 1.96 * (right * (1 - right) / batch.size) ** 0.5
        change = right - found["reference"]
        inside += found["change_low"] - luck <= change <= found["change_high"] + luck
    assert inside == told


# --- where there is no estimate ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("score", "labels", "told"),
    [
        (np.linspace(-3, 3, 500), np.arange(500.0) % 2, "no prediction is a probability"),
        (np.linspace(0, 1, 500), np.arange(500.0) % 3, "has 3 values, the predictions have 2"),
        (np.linspace(0, 1, 500), np.zeros(500), "has 1 values"),
        (np.linspace(0, 1, 100), np.arange(100.0) // 50, "100 labelled rows of at least 200"),
        (np.linspace(0, 1, 500), 1 - np.arange(500.0) // 250, "do not go with the label"),
        (np.linspace(0, 1, 500), np.full(500, np.nan), "has 0 values"),
    ],
)
def test_why_there_is_none_is_named(score: Floats, labels: Floats, told: str) -> None:
    prepared = prepare(sample_of(score, labels), SCHEMA, LABEL)
    assert told in estimate(prepared, sample_of(score))["not_estimated"]


def test_a_batch_without_predictions_or_with_few_says_so() -> None:
    prepared = prepare(sample_of(*World(0).rows(500, 0.0)), SCHEMA, LABEL)
    assert "no predictions" in estimate(prepared, Sample(50, ()))["not_estimated"]
    few = estimate(prepared, sample_of(np.full(9, 0.5)))
    assert "9 rows" in few["not_estimated"]


def test_scores_that_do_not_sum_to_one_are_no_classes() -> None:
    rng = np.random.default_rng(0)
    columns = [numeric(name, rng.random(300), "prediction") for name in ("a", "b")]
    assert probability_columns(Sample(300, tuple(columns)), ["a", "b"]) == []


# --- the whole way -----------------------------------------------------------------------------


def table(world: World, rows: int, mean: float, *, labelled: bool) -> pa.Table:
    x = world.rng.normal(mean, 1.2, rows)
    columns = {"x": x, SCORE: logistic(world.sureness * 1.5 * x)}
    if labelled:
        columns[LABEL] = (world.rng.random(rows) < logistic(1.5 * x)).astype(float)
    return pa.table(columns)


def stream(tmp_path: Path, tests: TestsSettings) -> ModelSettings:
    import pyarrow.parquet as pq  # noqa: PLC0415

    world = World(5)
    pq.write_table(table(world, 4000, 0.0, labelled=True), tmp_path / "reference.parquet")
    batches = [table(world, 1000, mean, labelled=False) for mean in (0.0, 1.5)]
    return ModelSettings(
        name="m",
        reference=str(tmp_path / "reference.parquet"),
        batches=write_batches(tmp_path, batches),
        columns=ColumnSettings(prediction=(SCORE,), label=LABEL),
        tests=tests,
    )


def test_a_stream_without_labels_is_estimated_and_the_label_is_tested_by_nothing(
    tmp_path: Path,
) -> None:
    quiet, moved = judge(tmp_path, stream(tmp_path, TestsSettings(ks=KsSettings())))
    for run, truth in ((quiet, 0.0), (moved, true_change(1.5))):
        found = run.explanation["performance"]
        assert found["change_low"] <= truth <= found["change_high"]
        assert LABEL not in {result.target for result in run.results}
        assert LABEL not in {column.name for column in run.columns}
        assert run.findings == () or LABEL not in {f.column for f in run.findings}
    assert quiet.verdict == "no_shift"
    assert moved.verdict == "shift"
    assert "Estimated accuracy rises by" in render_html(moved)
    json.dumps(dict(moved.explanation))
