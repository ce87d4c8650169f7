"""Accuracy without labels: in its band where labels go with inputs as before, and honest elsewhere."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from shiftwatch.performance import estimate, prepare
from shiftwatch.performance.answers import places, probability_columns
from shiftwatch.performance.isotonic import isotonic
from shiftwatch.report import render_html
from shiftwatch.sample import Sample, categorical, numeric
from shiftwatch.settings import ColumnSettings, KsSettings, ModelSettings, TestsSettings
from shiftwatch.source import parquet
from shiftwatch.values import Role, SchemaColumn
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
    # In order: files, label, what is no input, parts, of how many the band holds the truth.
    "synthetic_car_loan_nml": ("monitoring", "repaid", ("id", "timestamp", "y_pred"), 10, 10),
    "hotel_booking": ("monitoring", "is_canceled", ("Index", "timestamp", "y_pred"), 11, 11),
    # Other places, where labels go with inputs otherwise: what no method without labels can see.
    "california_housing_nml": ("analysis", "clf_target", ("id", "timestamp", "y_pred"), 6, 3),
}


def rows_of(path: str, label: str, beside: Sequence[str]) -> tuple[Sample, list[SchemaColumn]]:
    """A file as it is read of a reference, the score as its only prediction."""
    roles: dict[str, Role] = dict.fromkeys(beside, "ignored")
    roles["y_pred_proba"] = "prediction"
    schema = [
        replace(column, role=roles.get(column.name, "input"))
        for column in parquet.read_schema([path], ())
    ]
    read = [column for column in schema if column.role != "ignored"]
    sample = parquet.read_reference(path, read, rng=np.random.default_rng(0)).sample
    return sample, [column for column in read if column.name != label]


@pytest.mark.parametrize("name", sorted(STREAMS))
def test_in_real_streams_the_band_holds_the_truth_as_often_as_we_say(
    name: str, shared_data: Path
) -> None:
    later, label, beside, count, told = STREAMS[name]
    reference, schema = rows_of(str(shared_data / name / "reference.parquet"), label, beside)
    stream, _ = rows_of(str(shared_data / name / f"{later}.parquet"), label, beside)
    prepared = prepare(reference, schema, label)
    inside = 0
    for part in np.array_split(np.arange(stream.rows), count):
        batch = stream.take(part)
        found = estimate(prepared, batch)
        answers = np.asarray(batch.column("y_pred_proba").values, dtype=float) > 0.5
        right = answers == places(batch.column(label), ("0", "1"))
        change = float(right.mean()) - found["reference"]
        inside += found["change_low"] <= change <= found["change_high"]
    assert inside == told


# --- how predictions are read ------------------------------------------------------------------


def test_an_answer_beside_its_probability_is_the_models_answer_whatever_its_threshold() -> None:
    score, labels = World(1).rows(3000, 0.0)
    said = (score > 0.2).astype(float)
    columns = (numeric("said", said, "prediction"), *sample_of(score, labels).columns)
    schema = (SchemaColumn("said", "numeric", "prediction", "int64"), *SCHEMA)
    prepared = prepare(Sample(3000, columns), schema, LABEL)
    assert prepared.facts["accuracy"] == pytest.approx((said == labels).mean())
    found = estimate(prepared, Sample(3000, columns))
    assert found["change_low"] < 0 < found["change_high"]


def test_many_rows_on_one_score_do_not_move_the_threshold_method() -> None:
    rng = np.random.default_rng(5)
    score = rng.choice([0.05, 0.3, 0.9], 4000)
    labels = (rng.random(4000) < score).astype(float)
    found = estimate(prepare(sample_of(score, labels), SCHEMA, LABEL), sample_of(score))
    for value in found["methods"].values():
        assert value == pytest.approx(found["reference"], abs=1e-6)


def test_what_inputs_say_beyond_the_confidence_is_heard() -> None:
    """Answers of one confidence are right less often where an input is high."""

    def rows(seed: int, share: float) -> tuple[Sample, Floats]:
        rng = np.random.default_rng(seed)
        hard = (rng.random(3000) < share).astype(float)
        right = rng.random(3000) < 0.9 - 0.3 * hard
        score = rng.choice([0.25, 0.75], 3000)
        labels = np.where(right, score > 0.5, score < 0.5).astype(float)
        columns = (numeric("hard", hard), *sample_of(score, labels).columns)
        return Sample(3000, columns), right.astype(float)

    schema = (SchemaColumn("hard", "numeric", "input", "double"), *SCHEMA)
    prepared = prepare(rows(1, 0.2)[0], schema, LABEL)
    batch, right = rows(2, 0.8)
    found = estimate(prepared, batch)
    assert abs(found["methods"]["confidence"] - found["reference"]) < 0.01
    assert found["estimate"] == pytest.approx(right.mean(), abs=0.04)
    change = right.mean() - found["reference"]
    assert found["change_low"] <= change <= found["change_high"] < 0


@pytest.mark.parametrize("zipmap", [True, False])
def test_the_classes_of_a_model_with_texts_as_labels_are_found(
    tmp_path: Path, *, zipmap: bool
) -> None:
    import pyarrow.parquet as pq  # noqa: PLC0415
    from skl2onnx import to_onnx  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    rng = np.random.default_rng(3)
    x = rng.normal(size=(2000, 2)).astype(np.float32)
    names = np.array(["wolf", "ape", "newt"])
    label = names[(x + rng.gumbel(0, 0.7, (2000, 2))).argmax(axis=1) + (x[:, 0] > 1)]
    fitted = LogisticRegression().fit(x, label)
    made = to_onnx(fitted, x[:1], options={"zipmap": zipmap}, target_opset=17)
    (tmp_path / "m.onnx").write_bytes(made.SerializeToString())
    columns = {"a": x[:, 0].astype(float), "b": x[:, 1].astype(float)}
    pq.write_table(pa.table(columns | {LABEL: label}), tmp_path / "reference.parquet")
    model = ModelSettings(
        name="m",
        reference=str(tmp_path / "reference.parquet"),
        batches=write_batches(tmp_path, [pa.table(columns).slice(0, 1000)]),
        model=str(tmp_path / "m.onnx"),
        columns=ColumnSettings(label=LABEL),
        tests=TestsSettings(ks=KsSettings()),
    )
    (run,) = judge(tmp_path, model)
    found = run.explanation["performance"]
    assert found["reference"] == pytest.approx(fitted.score(x, label), abs=0.002)
    change = fitted.score(x[:1000], label[:1000]) - found["reference"]
    assert found["change_low"] <= change <= found["change_high"]


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


# --- amounts -----------------------------------------------------------------------------------


def amounts(seed: int, rows: int, mean: float, *, flat: bool = False) -> Sample:
    """A regressor whose errors grow with an input, or with nothing."""
    rng = np.random.default_rng(seed)
    x, z = rng.normal(mean, 1, rows), rng.normal(0, 1, rows)
    spread = 1.0 if flat else np.exp(0.4 * x)
    truth = 3 * x + z + rng.normal(0, spread, rows)
    columns = [numeric("x", x), numeric("z", z), numeric("answer", 3 * x + z, "prediction")]
    return Sample(rows, (*columns, numeric(LABEL, truth)))


AMOUNTS = (
    SchemaColumn("x", "numeric", "input", "double"),
    SchemaColumn("z", "numeric", "input", "double"),
    SchemaColumn("answer", "numeric", "prediction", "double"),
)


@pytest.mark.parametrize("mean", [0.0, 0.7, -0.7])
def test_the_error_of_a_regressor_is_in_its_band_where_errors_go_with_inputs(mean: float) -> None:
    inside = 0
    for seed in range(40):
        prepared = prepare(amounts(seed, 4000, 0.0), AMOUNTS, LABEL)
        batch = amounts(1000 + seed, 500, mean)
        found = estimate(prepared, batch)
        truth, said = (np.asarray(batch.column(n).values, float) for n in (LABEL, "answer"))
        change = float(np.abs(truth - said).mean()) - found["reference"]
        inside += found["change_low"] <= change <= found["change_high"]
    assert found["metric"] == "mean absolute error"
    assert inside >= 34, (mean, inside)  # P(fewer than 34 of 40 at 95 %) is .003


def test_errors_that_go_with_nothing_are_not_estimated() -> None:
    prepared = prepare(amounts(1, 4000, 0.0, flat=True), AMOUNTS, LABEL)
    told = estimate(prepared, amounts(2, 500, 1.0, flat=True))
    assert told == {"not_estimated": "the size of the errors goes with no input and no prediction"}


def test_an_error_that_a_few_rows_make_is_not_estimated() -> None:
    given = amounts(1, 4000, 0.0)
    label = np.asarray(given.column(LABEL).values, float).copy()
    label[::200] += 1000.0
    sample = Sample(4000, (*given.columns[:3], numeric(LABEL, label)))
    assert "a few rows" in estimate(prepare(sample, AMOUNTS, LABEL), given)["not_estimated"]


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
