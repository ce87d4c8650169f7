"""The demonstration's law, files and model keep what their docstrings say."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from shiftwatch.demo import MODEL_PATH
from shiftwatch.demo.generator import (
    BATCH_SECONDS,
    DRIFTING,
    FEATURES,
    LABEL,
    REFERENCE_SECONDS,
    START,
    TIME,
    Drawn,
    draw,
    write_batch,
    write_reference,
)
from shiftwatch.demo.train import export, main, matrix, train
from shiftwatch.model import OnnxModel, Prediction
from shiftwatch.sample import Column, Sample, categorical, numeric
from shiftwatch.values import SchemaColumn

ROWS = 20_000


def drawn(shift: float, rows: int = ROWS, seed: int = 11) -> Drawn:
    return draw(rows, np.random.default_rng(seed), shift=shift)


def column_of(name: str, values: Any) -> Column:
    if isinstance(values, list):
        return categorical(name, values)
    if values.dtype == np.bool_:
        return replace(categorical(name, [str(v).lower() for v in values.tolist()]), type="bool")
    return numeric(name, values.astype(np.float64))


def predicted(path: Path, rows: Drawn) -> Prediction:
    model = OnnxModel.load(str(path))
    columns = tuple(column_of(name, rows[name]) for name in FEATURES)
    schema = [SchemaColumn(c.name, c.kind, c.role, c.type) for c in columns]
    assert model.wanted_columns(schema) == FEATURES
    return model.predict(model.bind(schema), Sample(columns[0].rows, columns))


def differs(reference: Any, current: Any) -> float:
    """The p-value of an independent test on one column's values."""
    if isinstance(reference, list) or reference.dtype == np.bool_:
        known = sorted({*reference, *current} - {None})
        counts = [[list(side).count(value) for value in known] for side in (reference, current)]
        return float(stats.chi2_contingency(counts).pvalue)
    sides = [side[~np.isnan(side)] for side in (reference.astype(float), current.astype(float))]
    return float(stats.ks_2samp(*sides).pvalue)


def test_without_drift_two_draws_follow_one_law() -> None:
    one, other = drawn(0.0, seed=1), drawn(0.0, seed=2)
    assert min(differs(one[name], other[name]) for name in FEATURES) > 0.001


def test_only_the_columns_that_should_drift_do() -> None:
    still, moved = drawn(0.0, seed=1), drawn(1.0, seed=2)
    for name in FEATURES:
        p_value = differs(still[name], moved[name])
        if name in DRIFTING and name != "satisfaction":
            assert p_value < 1e-12, name
        else:
            assert p_value > 0.001, name
    nulls = [np.isnan(rows["satisfaction"]).mean() for rows in (still, moved)]
    assert nulls == pytest.approx([0.03, 0.07], abs=0.006)


def test_the_law_is_the_one_in_the_docstring() -> None:
    rows = drawn(0.5)
    plans = [rows["plan"].count(name) / ROWS for name in ("basic", "plus", "family", "flex")]
    assert plans == pytest.approx([0.425, 0.325, 0.15, 0.10], abs=0.015)
    assert rows["monthly_charge"].mean() == pytest.approx(
        0.425 * 20 + 0.325 * 35 + 0.15 * 55 + 0.10 * 28 + 3, abs=0.4
    )
    # The floor of a smooth positive law loses about one half.
    assert rows["tenure_months"].mean() == pytest.approx(2 * 14 * 0.8 - 0.5, abs=0.5)
    assert rows["late_days"].mean() == pytest.approx(0.3 * 5, abs=0.1)
    assert (rows["late_days"] == 0).mean() == pytest.approx(0.7, abs=0.015)
    assert rows["device"].count(None) / ROWS == pytest.approx(0.02, abs=0.004)
    assert rows["autopay"].mean() == pytest.approx(0.65, abs=0.015)
    assert np.median(rows["data_gb"]) == pytest.approx(np.exp(2), rel=0.03)


def test_the_new_plan_is_unknown_to_the_reference_and_appears_with_the_drift() -> None:
    assert "flex" not in drawn(0.0)["plan"]
    assert "flex" in drawn(0.1)["plan"]


def test_drift_beyond_its_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shift is 1\.5; it goes from 0 to 1"):
        drawn(1.5, rows=10)


def test_files_hold_what_was_drawn_with_nulls_and_times_in_order(tmp_path: Path) -> None:
    write_reference(tmp_path / "reference.parquet", rows=2000, seed=3)
    write_batch(tmp_path / "b.parquet", 2, rows=300, shift=0.5, seed=3)
    for name, rows, first, seconds in (
        ("reference.parquet", 2000, START - REFERENCE_SECONDS, REFERENCE_SECONDS),
        ("b.parquet", 300, START + 2 * BATCH_SECONDS, BATCH_SECONDS),
    ):
        table = pq.read_table(tmp_path / name, page_checksum_verification=True)
        assert table.column_names == [TIME, *FEATURES, LABEL]
        times = table.column(TIME).to_numpy().astype("datetime64[us]").astype(np.int64) / 1e6
        assert table.num_rows == rows
        assert (np.diff(times) >= 0).all()
        assert times[0] >= first
        assert times[-1] < first + seconds
        nulls = {column for column in FEATURES if table.column(column).null_count}
        assert nulls == {"satisfaction", "device"}
    schema = pq.read_schema(tmp_path / "b.parquet")
    assert [str(kind) for kind in schema.types] == [
        "timestamp[us, tz=UTC]",
        "int64",
        "double",
        "double",
        "int64",
        "double",
        "double",
        *["string"] * 3,
        "bool",
        "int64",
    ]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["b.parquet", "reference.parquet"]


def test_a_batch_is_the_same_again_and_another_batch_is_not(tmp_path: Path) -> None:
    for name, index, seed in (("a", 4, 1), ("again", 4, 1), ("next", 5, 1), ("seed", 4, 2)):
        write_batch(tmp_path / name, index, seed=seed)
    a, again, following, seed = (
        pq.read_table(tmp_path / name) for name in ("a", "again", "next", "seed")
    )
    assert a.equals(again)
    assert not a.select(FEATURES).equals(following.select(FEATURES))
    assert not a.select(FEATURES).equals(seed.select(FEATURES))


def test_a_writer_that_dies_leaves_nothing_that_looks_like_a_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(_table: object, where: Path, **_: object) -> None:
        where.write_bytes(b"PAR1 half a file")
        raise OSError("disk full")

    monkeypatch.setattr(pq, "write_table", die)
    with pytest.raises(OSError, match="disk full"):
        write_batch(tmp_path / "b.parquet", 0)
    assert [path for path in tmp_path.iterdir() if path.suffix == ".parquet"] == []
    assert all(path.name.startswith(".") for path in tmp_path.iterdir())


def test_naming_the_model_costs_no_heavy_import() -> None:
    code = "import sys, shiftwatch.demo; print({'numpy', 'pyarrow', 'sklearn'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_the_model_is_small_and_its_inputs_have_the_types_of_the_columns() -> None:
    assert MODEL_PATH.stat().st_size < 200_000
    model = OnnxModel.load(str(MODEL_PATH))
    types = {entry.name: entry.element for entry in model.inputs}
    assert list(types) == list(FEATURES)
    assert set(types.values()) == {"int64", "float", "string", "bool"}


@pytest.mark.parametrize(("shift", "auc"), [(0.0, 0.80), (1.0, 0.76)])
def test_the_model_ranks_fresh_customers_as_well_as_it_says(shift: float, auc: float) -> None:
    rows = drawn(shift, rows=100_000, seed=99)
    prediction = predicted(MODEL_PATH, rows)
    label, stays, churns = prediction.columns
    assert [c.name for c in prediction.columns] == [
        "label",
        "probabilities[0]",
        "probabilities[1]",
    ]
    assert prediction.findings == ()
    assert all(column.nulls == 0 for column in prediction.columns)
    assert roc_auc_score(rows[LABEL], churns.values) == pytest.approx(auc, abs=0.006)
    said = np.array(label.categories)[label.values.astype(int)] == "1"
    assert (said == (churns.values > stays.values)).mean() > 0.9999


def test_the_model_is_calibrated_without_drift_and_predicts_more_churn_with_it() -> None:
    means = []
    for shift in (0.0, 1.0):
        rows = drawn(shift)
        means.append(float(predicted(MODEL_PATH, rows).columns[2].values.mean()))
        if shift == 0.0:
            assert means[0] == pytest.approx(rows[LABEL].mean(), abs=0.015)
    assert means[1] > means[0] + 0.1


def test_the_committed_model_is_the_one_that_training_makes(tmp_path: Path) -> None:
    pipeline = train()
    path = tmp_path / "model.onnx"
    path.write_bytes(export(pipeline))
    rows = drawn(0.5, rows=2000)
    expected = pipeline.predict_proba(matrix(rows))[:, 1]
    for made in (path, MODEL_PATH):
        found = predicted(made, rows).columns[2].values
        assert np.abs(found - expected).max() < 1e-5
    main(path)
    assert path.stat().st_size == MODEL_PATH.stat().st_size
