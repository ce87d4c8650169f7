"""Real data with known shifts, through the whole house."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from shiftwatch.settings import ColumnSettings, FeatureSettings, ModelSettings
from tests.streams import judge, scope, slices, write_batches

pytestmark = pytest.mark.slow


def test_car_loan_is_quiet_in_25_null_batches_and_alarms_by_the_second_shifted_one(
    shared_data: Path, tmp_path: Path
) -> None:
    folder = shared_data / "synthetic_car_loan_nml"
    monitoring = pq.read_table(folder / "monitoring.parquet")
    model = ModelSettings(
        name="loan",
        reference=str(folder / "reference.parquet"),
        batches=write_batches(tmp_path, slices(monitoring, 1000)),
        features=FeatureSettings(exclude=("timestamp",)),
        columns=ColumnSettings(prediction=("y_pred_proba", "y_pred"), label="repaid"),
        categorical=("y_pred",),
    )
    runs = judge(tmp_path, model)
    assert [run.verdict for run in runs[:25]] == ["no_shift"] * 25
    assert not any(run.alarm for run in runs[:25])
    assert runs[26].alarm
    assert all(run.alarm for run in runs[26:])
    named = {column for run in runs[25:] for column in scope(run, "input").columns}
    assert {"car_value", "loan_length"} <= named
    assert not named & {"debt_to_income_ratio", "driver_tenure", "size_of_downpayment"}


_HOTEL_STRINGS = ("hotel", "meal", "country", "market_segment", "deposit_type", "customer_type")
_HOTEL_NUMBERS = ("lead_time", "adr", "adults", "total_of_special_requests", "booking_changes")


def _hotel_model(reference: pa.Table, path: Path) -> None:
    """A pipeline with string columns, trained on the reference and exported with names as inputs."""
    from skl2onnx import to_onnx  # noqa: PLC0415
    from skl2onnx.common.data_types import (  # noqa: PLC0415
        FloatTensorType,
        Int64TensorType,
        StringTensorType,
    )
    from sklearn.compose import ColumnTransformer  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import OneHotEncoder, StandardScaler  # noqa: PLC0415

    names = [*_HOTEL_NUMBERS, *_HOTEL_STRINGS]
    columns = [reference.column(name).to_numpy(zero_copy_only=False) for name in names]
    rows = np.stack([column.astype(object) for column in columns], axis=1)
    transformer = ColumnTransformer(
        [
            ("numbers", StandardScaler(), list(range(len(_HOTEL_NUMBERS)))),
            (
                "texts",
                OneHotEncoder(handle_unknown="ignore"),
                list(range(len(_HOTEL_NUMBERS), len(names))),
            ),
        ]
    )
    pipeline = make_pipeline(transformer, LogisticRegression(max_iter=300))
    pipeline.fit(rows, reference.column("is_canceled").to_numpy())
    kinds = {"string": StringTensorType, "int64": Int64TensorType, "double": FloatTensorType}
    types = [(n, kinds[str(reference.schema.field(n).type)]([None, 1])) for n in names]
    options = {id(pipeline): {"zipmap": False}}
    exported = to_onnx(pipeline, initial_types=types, options=options, target_opset=18)
    path.write_bytes(exported.SerializeToString())


def test_hotel_booking_alarms_from_october_to_january(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "hotel_booking"
    reference = pq.read_table(folder / "reference.parquet")
    monitoring = pq.read_table(folder / "monitoring.parquet")
    assert reference.column_names != monitoring.column_names
    _hotel_model(reference, tmp_path / "model.onnx")
    months = pc.utf8_slice_codeunits(monitoring.column("timestamp"), 0, 7)
    tables = [
        monitoring.filter(pc.equal(months, month))
        for month in sorted(set(months.to_pylist()))
        if month <= "2017-01"
    ]
    model = ModelSettings(
        name="hotel",
        model=str(tmp_path / "model.onnx"),
        reference=str(folder / "reference.parquet"),
        batches=write_batches(tmp_path, tables),
        columns=ColumnSettings(prediction=("y_pred_proba",), label="is_canceled", id="Index"),
    )
    runs = judge(tmp_path, model)
    assert len(runs) == 4
    assert all(run.verdict == "shift" and run.alarm for run in runs)
    assert all({"lead_time", "adr"} <= set(scope(run, "input").columns) for run in runs)
    assert all(scope(run, "prediction").alarm for run in runs)
    models_own = [c.name for c in runs[0].columns if c.role == "prediction"]
    assert "probabilities[1]" in models_own


def test_digits_by_other_writers_raise_the_alarm_of_a_foreign_model(
    shared_data: Path, tmp_path: Path
) -> None:
    """The marginals hardly move (2 of 62 columns); the joint tests must see it."""
    folder = shared_data / "optdigits_writers"
    other = pq.read_table(folder / "optdigits_tra.parquet")
    model = ModelSettings(
        name="digits",
        model=str(shared_data / "onnx_models" / "xgboost_digits.onnx"),
        reference=str(folder / "optdigits_tes.parquet"),
        batches=write_batches(tmp_path, slices(other, 1000)[:3]),
        columns=ColumnSettings(label="Class"),
    )
    runs = judge(tmp_path, model)
    assert [run.verdict for run in runs] == ["shift"] * 3
    joint = [r for r in runs[0].results if r.target == "*" and r.scope == "input"]
    assert min(result.p_value for result in joint) < 1e-6


def test_hospitals_differ_and_nulls_are_named_as_a_cause(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "heart_disease_sites"
    sites = [pq.read_table(folder / f"{s}.parquet") for s in ("hungarian", "switzerland", "va")]
    model = ModelSettings(
        name="heart",
        reference=str(folder / "cleveland.parquet"),
        batches=write_batches(tmp_path, sites),
        columns=ColumnSettings(label="num"),
    )
    runs = judge(tmp_path, model)
    assert [run.verdict for run in runs] == ["shift"] * 3
    for run in runs:
        moved = {r.target for r in run.results if r.test == "nulls" and r.p_value < 1e-9}
        assert {"ca", "thal"} <= moved
        assert {"ca", "thal"} <= set(scope(run, "input").columns)
    chol = next(r for r in runs[1].results if r.test == "ks" and r.target == "chol")
    assert chol.effect == pytest.approx(1.0, abs=0.01)


def test_davis_with_a_foreign_zipmap_model_alarms_when_the_columns_are_swapped(
    shared_data: Path, tmp_path: Path
) -> None:
    davis = pq.read_table(shared_data / "davis" / "davis.parquet")
    swapped = davis.set_column(2, "weight", davis.column("height")).set_column(
        3, "height", davis.column("weight")
    )
    half = davis.take(pa.array(range(0, 200, 2)))
    model = ModelSettings(
        name="davis",
        model=str(shared_data / "onnx_models" / "logistic_davis.onnx"),
        reference=str(shared_data / "davis" / "davis.parquet"),
        batches=write_batches(tmp_path, [half, swapped]),
        features=FeatureSettings(include=("weight", "height")),
        columns=ColumnSettings(label="sex"),
    )
    same, moved = judge(tmp_path, model)
    assert (same.verdict, moved.verdict) == ("no_shift", "shift")
    assert scope(moved, "prediction").alarm
    assert {"output_label", "output_probability[0]", "output_probability[1]"} <= {
        column.name for column in moved.columns
    }
