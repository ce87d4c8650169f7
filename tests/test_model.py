"""The model room: what can be fed is fed rightly, what cannot is refused by name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from skl2onnx import to_onnx
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression

from shiftwatch.errors import ModelError
from shiftwatch.model import OnnxModel, Prediction, onnxfile, session
from shiftwatch.sample import Column, Floats, Sample, categorical, numeric
from shiftwatch.values import FINDING_CODES, SchemaColumn
from tests.conftest import absent
from tests.onnx_models import constant, echo, linear, node, outside, save, tensor

FREE = (None, 1)


def schema_of(columns: Sequence[Column]) -> list[SchemaColumn]:
    return [SchemaColumn(c.name, c.kind, c.role, c.type) for c in columns]


def sample_of(*columns: Column) -> Sample:
    return Sample(columns[0].rows, columns)


def run(path: str | Path, *columns: Column) -> Prediction:
    model = OnnxModel.load(str(path))
    return model.predict(model.bind(schema_of(columns)), sample_of(*columns))


def texts(column: Column) -> list[str | None]:
    return [None if code < 0 else column.categories[code] for code in column.values.astype(int)]


def by_name(prediction: Prediction) -> dict[str, Column]:
    return {column.name: column for column in prediction.columns}


def numbered(matrix: Floats) -> list[Column]:
    return [numeric(f"x{index}", matrix[:, index]) for index in range(matrix.shape[1])]


def parquet_column(path: Path, name: str) -> Floats:
    return np.asarray(pq.read_table(path).column(name).to_numpy(), dtype=np.float64)


# Models made by others, on data whose accuracy is known.


def davis(shared_data: Path, *order: str) -> tuple[Prediction, float]:
    table = shared_data / "davis" / "davis.parquet"
    columns = [numeric(name, parquet_column(table, name)) for name in order]
    prediction = run(shared_data / "onnx_models" / "logistic_davis.onnx", *columns)
    male = [str(int(sex == "M")) for sex in pq.read_table(table).column("sex").to_pylist()]
    right = np.array(texts(prediction.columns[0])) == np.array(male)
    return prediction, float(right.mean())


def test_the_davis_model_is_right_on_91_percent_and_answers_label_and_zipmap(
    shared_data: Path,
) -> None:
    prediction, accuracy = davis(shared_data, "weight", "height")
    assert accuracy == pytest.approx(0.91, abs=0.005)
    assert [(c.name, c.kind, c.role, c.type) for c in prediction.columns] == [
        ("output_label", "categorical", "prediction", "int64"),
        ("output_probability[0]", "numeric", "prediction", "float"),
        ("output_probability[1]", "numeric", "prediction", "float"),
    ]
    total = prediction.columns[1].values + prediction.columns[2].values
    assert np.allclose(total, 1, atol=2e-6)
    assert prediction.findings == ()
    assert prediction.seconds >= 0


def test_the_order_of_the_features_is_the_order_fed(shared_data: Path) -> None:
    assert davis(shared_data, "height", "weight")[1] == pytest.approx(0.56, abs=0.005)


def test_a_batch_fixed_at_one_is_run_row_by_row(shared_data: Path) -> None:
    table = pq.read_table(shared_data / "optdigits_writers" / "optdigits_tes.parquet")
    names = [name for name in table.column_names if name != "Class"]
    columns = [numeric(name, table.column(name).to_numpy().astype(np.float64)) for name in names]
    prediction = run(shared_data / "onnx_models" / "xgboost_digits.onnx", *columns)
    label, *scores = prediction.columns
    right = np.array(texts(label)) == table.column("Class").to_numpy().astype(str)
    assert right.mean() == pytest.approx(0.988, abs=0.0005)
    assert [column.name for column in scores] == [f"probabilities[{k}]" for k in range(10)]


def test_the_iris_model_is_right_on_97_percent(shared_data: Path) -> None:
    features, target = load_iris(return_X_y=True)
    path = shared_data / "onnx_models" / "logreg_iris.onnx"
    label = run(path, *numbered(features)).columns[0]
    assert (np.array(texts(label)) == target.astype(str)).mean() == pytest.approx(0.973, abs=0.001)


def test_a_model_without_batch_axis_is_refused_with_all_there_is_to_know(shared_data: Path) -> None:
    path = shared_data / "onnx_models" / "matmul_tiny.onnx"
    columns = schema_of([numeric("weight", [1.0]), numeric("height", [2.0])])
    message = (
        f"{path}: input 'a', tensor(float) [3, 4], has no batch axis: its first dimension is fixed "
        "at 3; the columns there are: weight, height (export the model with a free first dimension)"
    )
    model = OnnxModel.load(str(path))
    for ask in (model.bind, model.wanted_columns):
        with pytest.raises(ModelError) as refusal:
            ask(columns)
        assert str(refusal.value) == message


def test_a_model_of_images_is_refused(shared_data: Path) -> None:
    model = OnnxModel.load(str(shared_data / "onnx_models" / "mnist_cntk.onnx"))
    with pytest.raises(
        ModelError, match=r"'Input3', tensor\(float\) \[1, 1, 28, 28\], has 4 dim.*are: x0 \("
    ):
        model.bind(schema_of([numeric("x0", [1.0])]))


def test_the_model_says_what_it_is(shared_data: Path) -> None:
    model = OnnxModel.load(str(shared_data / "onnx_models" / "logistic_davis.onnx"))
    assert model.info.producer == "skl2onnx 1.17.0"
    assert model.info.opset == "ai.onnx.ml 1, ai.onnx 9"
    assert model.info.runtime.startswith("onnxruntime 1.")
    assert len(model.sha256) == 64


# Models by scikit-learn, against scikit-learn.


def test_named_classes_become_columns_that_agree_with_scikit_learn(tmp_path: Path) -> None:
    features, target = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[target]
    classifier = LogisticRegression(max_iter=1000).fit(features, names)
    path = tmp_path / "m.onnx"
    path.write_bytes(to_onnx(classifier, features[:1].astype(np.float32)).SerializeToString())
    found = by_name(run(path, *numbered(features)))
    assert texts(found["output_label"]) == classifier.predict(features).tolist()
    for index, name in enumerate(classifier.classes_):
        expected = classifier.predict_proba(features)[:, index]
        assert np.allclose(found[f"output_probability[{name}]"].values, expected, atol=2e-6)


def test_a_regression_with_two_outputs_agrees_with_scikit_learn(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    features = rng.normal(size=(200, 3))
    regression = LinearRegression().fit(features, features @ rng.normal(size=(3, 2)))
    path = tmp_path / "m.onnx"
    path.write_bytes(to_onnx(regression, features[:1]).SerializeToString())
    columns = run(path, *numbered(features)).columns
    assert [(c.name, c.type) for c in columns] == [
        ("variable[0]", "double"),
        ("variable[1]", "double"),
    ]
    found = np.column_stack([column.values for column in columns])
    assert np.allclose(found, regression.predict(features), rtol=1e-5, atol=1e-6)


# Feeding.


def test_every_type_of_input_is_fed_by_name_and_comes_back(tmp_path: Path) -> None:
    path = echo(
        tmp_path / "m.onnx",
        plan=("string", FREE),
        age=("int64", FREE),
        visits=("int32", [None]),
        member=("bool", FREE),
        price=("double", FREE),
        score=("float", FREE),
    )
    truth = replace(categorical("member", ["true", "false"]), type="bool")
    columns = (
        numeric("score", [0.5, -2.5]),
        numeric("price", [1e-9, 1e9]),
        truth,
        numeric("unused", [0.0, 0.0]),
        numeric("visits", [7.0, -8.0]),
        numeric("age", [31.0, 2.0**53]),
        categorical("plan", ["plus", "basic"]),
    )
    wanted = OnnxModel.load(path).wanted_columns(schema_of(columns))
    assert wanted == ("plan", "age", "visits", "member", "price", "score")
    found = by_name(run(path, *columns))
    assert texts(found["plan_out"]) == ["plus", "basic"]
    assert texts(found["member_out"]) == ["true", "false"]
    for name in ("age", "visits", "price", "score"):
        expected = next(column for column in columns if column.name == name)
        assert found[f"{name}_out"].values.tolist() == expected.values.tolist()
    assert [found[f"{n}_out"].type for n in ("plan", "age", "member")] == [
        "string",
        "int64",
        "bool",
    ]


def test_a_free_width_beside_other_inputs_takes_one_column(tmp_path: Path) -> None:
    path = echo(tmp_path / "m.onnx", x=("float", ["N", None]), y=("float", [None]))
    found = by_name(run(path, numeric("y", [3.0, 4.0]), numeric("x", [1.0, 2.0])))
    assert {name: column.values.tolist() for name, column in found.items()} == {
        "x_out": [1, 2],
        "y_out": [3, 4],
    }


def test_a_vector_beside_other_inputs_is_refused(tmp_path: Path) -> None:
    path = echo(tmp_path / "m.onnx", x=("float", ["N", 2]), y=("float", FREE))
    with pytest.raises(ModelError, match=r"'x', tensor\(float\) \[N, 2\], takes 2 columns, but"):
        OnnxModel.load(path).bind(schema_of(numbered(np.ones((1, 3)))))


@pytest.mark.parametrize(
    ("there", "taken"),
    [(["AGE", "plan"], "AGE"), (["AGE", "age", "Age"], "age"), (["plan", "age"], "age")],
)
def test_a_name_matches_exactly_or_else_without_regard_to_case(
    tmp_path: Path, there: list[str], taken: str
) -> None:
    model = OnnxModel.load(echo(tmp_path / "m.onnx", age=("float", FREE)))
    columns = [numeric(name, [float(index)]) for index, name in enumerate(there)]
    assert model.wanted_columns(schema_of(columns)) == (taken,)
    prediction = model.predict(model.bind(schema_of(columns)), sample_of(*columns))
    assert prediction.columns[0].values.tolist() == [there.index(taken)]


def test_a_name_that_could_be_two_columns_is_refused(tmp_path: Path) -> None:
    path = echo(tmp_path / "m.onnx", age=("float", FREE), plan=("string", FREE))
    columns = schema_of([numeric("AGE", [1.0]), numeric("Age", [1.0]), categorical("plan", ["a"])])
    with pytest.raises(ModelError, match=r"input 'age'.*could be any of AGE, Age; .*rename one"):
        OnnxModel.load(path).wanted_columns(columns)


def test_an_input_that_no_column_matches_is_named_with_the_columns_there_are(
    tmp_path: Path,
) -> None:
    path = echo(tmp_path / "m.onnx", age=("int64", FREE), plan=("string", FREE))
    columns = schema_of([numeric("age", [1.0]), numeric("height", [1.0])])
    message = (
        f"{path}: input 'plan', tensor(string) [?, 1], matches no column; the columns there are: "
        "age, height (an input takes the column of its name)"
    )
    for ask in (OnnxModel.load(path).wanted_columns, OnnxModel.load(path).bind):
        with pytest.raises(ModelError) as refusal:
            ask(columns)
        assert str(refusal.value) == message


def test_a_single_tensor_asks_for_no_column_by_name(tmp_path: Path) -> None:
    path = linear(tmp_path / "m.onnx", np.ones((2, 1), np.float32), 2)
    assert OnnxModel.load(path).wanted_columns(schema_of([numeric("features", [1.0])])) is None


def test_a_tensor_of_another_width_is_refused(tmp_path: Path) -> None:
    path = linear(tmp_path / "m.onnx", np.ones((2, 1), np.float32), 2)
    with pytest.raises(
        ModelError,
        match=r"\[N, 2\], takes 2 columns a row and there are 3; the columns there are: x0, x1, x2 "
        r"\(.*include",
    ):
        OnnxModel.load(path).bind(schema_of(numbered(np.zeros((1, 3)))))


def test_texts_and_times_for_a_tensor_of_numbers_are_refused_with_the_cure(tmp_path: Path) -> None:
    path = linear(tmp_path / "m.onnx", np.ones((2, 1), np.float32), 2)
    when = SchemaColumn("at", "timestamp", "input", "timestamp[us]")
    columns = [*schema_of([numeric("x", [1.0]), categorical("plan", ["a"])]), when]
    with pytest.raises(
        ModelError,
        match=r"cannot take 'plan' \(string\), 'at' \(timestamp\[us\]\).*exclude: \[plan, at\]",
    ):
        OnnxModel.load(path).bind(columns)


@pytest.mark.parametrize(
    ("element", "column"),
    [
        ("float", categorical("x", ["a"])),
        ("int64", categorical("x", ["a"])),
        ("string", numeric("x", [1.0])),
        ("string", replace(categorical("x", ["true"]), type="bool")),
    ],
)
def test_a_column_of_the_wrong_kind_is_refused_by_name(
    tmp_path: Path, element: str, column: Column
) -> None:
    model = OnnxModel.load(echo(tmp_path / "m.onnx", x=(element, FREE)))
    with pytest.raises(ModelError, match=rf"tensor\({element}\).*cannot take column 'x', which is"):
        model.bind(schema_of([column]))


def test_integers_that_were_declared_categorical_are_still_numbers(tmp_path: Path) -> None:
    path = echo(tmp_path / "m.onnx", zone=("int64", FREE), x=("float", FREE))
    zone = replace(categorical("zone", ["30", "-4", "30"]), type="int64")
    truth = replace(categorical("x", ["true", None, "false"]), type="dictionary<values=bool>")
    found = by_name(run(path, zone, truth))
    assert found["zone_out"].values.tolist() == [30, -4, 30]
    assert found["x_out"].values[[0, 2]].tolist() == [1, 0]
    assert found["x_out"].valid.tolist() == [True, False, True]


def test_a_text_that_turns_up_among_declared_integers_is_named(tmp_path: Path) -> None:
    path = echo(tmp_path / "m.onnx", zone=("int64", FREE))
    with pytest.raises(ModelError, match="cannot take 'north' of column 'zone'"):
        run(path, replace(categorical("zone", ["30", "north"]), type="int64"))


def test_a_null_goes_into_a_float_as_nan_and_into_a_text_as_nothing(tmp_path: Path) -> None:
    path = echo(tmp_path / "m.onnx", x=("float", FREE), plan=("string", FREE))
    prediction = run(path, numeric("x", [1.0, np.nan]), categorical("plan", [None, "a"]))
    found = by_name(prediction)
    assert found["x_out"].valid.tolist() == [True, False]
    assert texts(found["plan_out"]) == ["", "a"]
    assert prediction.findings == ()


def test_rows_without_a_value_for_an_integer_or_a_boolean_are_not_scored(tmp_path: Path) -> None:
    path = echo(tmp_path / "m.onnx", n=("int64", FREE), b=("bool", FREE), x=("float", FREE))
    truth = replace(categorical("b", ["true", "false", None, "true", "true"]), type="bool")
    prediction = run(
        path,
        numeric("n", [1.0, np.nan, 3.0, 4.5, 2.0**63]),
        truth,
        numeric("x", [1.0, 2.0, 3.0, 4.0, 5.0]),
    )
    found = by_name(prediction)
    assert [column.valid.tolist() for column in found.values()] == [[True] + [False] * 4] * 3
    assert texts(found["b_out"]) == ["true", None, None, None, None]
    assert [(f.code, f.column, f.message, f.severity) for f in prediction.findings] == [
        (
            "rows_not_scored",
            "n",
            "3 of 5 rows have no value that tensor(int64) can hold",
            "note",
        ),
        ("rows_not_scored", "b", "1 of 5 rows have no value that tensor(bool) can hold", "note"),
    ]
    assert {finding.code for finding in prediction.findings} <= set(FINDING_CODES)


@pytest.mark.parametrize(
    ("element", "least", "most"), [("uint8", 0, 255), ("int32", -(2**31), 2**31 - 1)]
)
def test_the_limits_of_an_integer_type_are_fed_and_one_beyond_is_not(
    tmp_path: Path, element: str, least: int, most: int
) -> None:
    values = [float(v) for v in (least - 1, least, most, most + 1)] + [np.inf]
    (column,) = run(echo(tmp_path / "m.onnx", x=(element, FREE)), numeric("x", values)).columns
    assert column.valid.tolist() == [False, True, True, False, False]
    assert column.present.tolist() == [least, most]


def test_no_scorable_row_means_no_prediction_and_a_finding(tmp_path: Path) -> None:
    prediction = run(echo(tmp_path / "m.onnx", n=("int64", FREE)), numeric("n", [np.nan] * 3))
    assert prediction.columns == ()
    assert [finding.code for finding in prediction.findings] == ["rows_not_scored"]


def test_a_number_too_large_for_float32_becomes_infinite_in_silence(tmp_path: Path) -> None:
    (column,) = run(echo(tmp_path / "m.onnx", x=("float", FREE)), numeric("x", [1e300])).columns
    assert column.values.tolist() == [np.inf]


def test_a_column_that_became_null_altogether_is_fed_as_nulls(tmp_path: Path) -> None:
    model = OnnxModel.load(echo(tmp_path / "m.onnx", x=("float", FREE), p=("string", FREE)))
    binding = model.bind(schema_of([numeric("x", [1.0]), categorical("p", ["a"])]))
    nothing = np.zeros(2, dtype=np.bool_)
    blank = Column("x", "unsupported", "input", "null", np.empty(0), nothing)
    found = by_name(model.predict(binding, sample_of(replace(blank, name="p"), blank)))
    assert found["x_out"].nulls == 2
    assert texts(found["p_out"]) == ["", ""]


def test_a_batch_that_lacks_a_column_or_changed_its_type_is_refused(tmp_path: Path) -> None:
    path = echo(tmp_path / "m.onnx", x=("float", FREE), y=("float", FREE))
    model = OnnxModel.load(path)
    binding = model.bind(schema_of([numeric("x", [1.0]), numeric("y", [1.0])]))
    with pytest.raises(ModelError, match=r"m\.onnx: input 'y'.*needs column 'y', which the batch"):
        model.predict(binding, sample_of(numeric("x", [1.0])))
    with pytest.raises(ModelError, match=r"cannot take column 'y', which is categorical \(string"):
        model.predict(binding, sample_of(numeric("x", [1.0]), categorical("y", ["a"])))


# Outputs.


def test_integers_are_labels_beside_scores_and_counts_on_their_own(tmp_path: Path) -> None:
    path = save(
        tmp_path / "count.onnx",
        [node("Cast", ["features"], ["count"], to=7), node("Not", ["b"], ["bool_answer"])],
        [tensor("features", "float", FREE), tensor("b", "bool", FREE)],
        [tensor("count", "int64", FREE), tensor("bool_answer", "bool", FREE)],
    )
    truth = replace(categorical("b", ["true", "false"]), type="bool")
    found = by_name(run(path, numeric("features", [3.0, 4.0]), truth))
    assert found["count"].kind == "numeric"
    assert texts(found["bool_answer"]) == ["false", "true"]
    weights = constant("w", np.eye(2, dtype=np.float32))
    path = save(
        tmp_path / "argmax.onnx",
        [
            node("MatMul", ["x", "w"], ["scores"]),
            node("ArgMax", ["scores"], ["best"], axis=1, keepdims=0),
        ],
        [tensor("x", "float", ["N", 2])],
        [tensor("best", "int64", ["N"]), tensor("scores", "float", ["N", 2])],
        [weights],
    )
    found = by_name(run(path, *numbered(np.array([[1.0, 2.0], [4.0, 3.0]]))))
    assert texts(found["best"]) == ["1", "0"]
    assert list(found) == ["best", "scores[0]", "scores[1]"]


def test_names_of_predictions_are_unique(tmp_path: Path) -> None:
    path = save(
        tmp_path / "m.onnx",
        [node("Identity", ["x"], ["y"]), node("Identity", ["x"], ["y[0]"])],
        [tensor("x", "float", ["N", 2])],
        [tensor("y", "float", ["N", 2]), tensor("y[0]", "float", ["N", 2])],
    )
    names = [column.name for column in run(path, *numbered(np.zeros((1, 2)))).columns]
    assert names == ["y[0]", "y[1]", "y[0][0]", "y[0][1]"]
    path = save(
        tmp_path / "n.onnx",
        [node("Identity", ["x"], ["y"]), node("ReduceSum", ["x", "axis"], ["y[0]"], keepdims=0)],
        [tensor("x", "float", ["N", 2])],
        [tensor("y", "float", ["N", 2]), tensor("y[0]", "float", ["N"])],
        [constant("axis", np.array([1]))],
    )
    names = [column.name for column in run(path, *numbered(np.zeros((1, 2)))).columns]
    assert names == ["y[0]", "y[1]", "y[0]'"]


def test_a_wide_output_is_cut_at_256_columns_and_says_so(tmp_path: Path) -> None:
    prediction = run(
        linear(tmp_path / "m.onnx", np.ones((2, 300), np.float32), 2), *numbered(np.ones((4, 2)))
    )
    assert len(prediction.columns) == 256
    (finding,) = prediction.findings
    assert (finding.column, finding.severity) == ("score", "note")
    assert finding.message == "only the first 256 of its 300 columns are watched"


def cubed(path: Path, *outputs: str) -> str:
    """Outputs: `flat` as the input is, `cube` with three dimensions, `sum` without rows."""
    made = {
        "flat": (node("Identity", ["x"], ["flat"]), tensor("flat", "float", ["N", 2])),
        "cube": (
            node("Unsqueeze", ["x", "axis"], ["cube"]),
            tensor("cube", "float", ["N", 2, 1]),
        ),
        "sum": (node("ReduceSum", ["x"], ["sum"]), tensor("sum", "float", ["A", "B"])),
    }
    return save(
        path,
        [made[name][0] for name in outputs],
        [tensor("x", "float", ["N", 2])],
        [made[name][1] for name in outputs],
        [constant("axis", np.array([2]))] if "cube" in outputs else [],
    )


def test_outputs_that_are_no_value_per_row_are_left_out_with_a_note(tmp_path: Path) -> None:
    prediction = run(cubed(tmp_path / "m.onnx", "flat", "cube", "sum"), *numbered(np.ones((3, 2))))
    assert [column.name for column in prediction.columns] == ["flat[0]", "flat[1]"]
    assert [(f.column, f.severity, f.message) for f in prediction.findings] == [
        (
            "sum",
            "note",
            "came with shape [1, 1], which is not a row per row fed; not watched",
        ),
        (
            "cube",
            "note",
            "output 'cube', tensor(float) [N, 2, 1], is not a value per row; not watched",
        ),
    ]


def test_a_model_without_any_usable_output_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"no output is a value or a vector per row: output 'cube', tensor\(float"
    ):
        OnnxModel.load(cubed(tmp_path / "m.onnx", "cube"))


def test_scores_keep_six_digits_so_that_noise_makes_no_ties_or_breaks_them(tmp_path: Path) -> None:
    path = echo(tmp_path / "m.onnx", x=("double", FREE))
    noisy = np.array([0.123456, 123456.0, 1.23456e-9, 1.0]) * (1 + 2e-8)
    (column,) = run(path, numeric("x", noisy)).columns
    assert column.values.tolist() == [0.123456, 123456.0, 1.23456e-9, 1.0]


# Promises about rows.


def demo_like(rows: int) -> tuple[NDArray[np.float32], list[Column]]:
    rng = np.random.default_rng(3)
    return rng.normal(size=(5, 3)).astype(np.float32), numbered(rng.normal(size=(rows, 5)))


def test_the_answer_on_a_row_does_not_depend_on_the_order_of_rows(tmp_path: Path) -> None:
    weights, columns = demo_like(9000)
    path = linear(tmp_path / "m.onnx", weights, 5)
    order = np.random.default_rng(4).permutation(9000)
    straight = run(path, *columns)
    shuffled = run(path, *(column.take(order) for column in columns))
    for one, other in zip(straight.columns, shuffled.columns, strict=True):
        assert np.allclose(one.values[order], other.values, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_the_answer_does_not_depend_on_the_size_of_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    weights, columns = demo_like(1000)
    path = linear(tmp_path / "m.onnx", weights, 5)
    expected = np.column_stack([column.values for column in columns]) @ weights.astype(np.float64)
    monkeypatch.setattr(session, "_CHUNK", chunk)
    found = np.column_stack([column.values for column in run(path, *columns).columns])
    assert np.allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_a_failure_while_running_is_one_line_and_nothing_goes_to_stderr(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = linear(tmp_path / "m.onnx", np.ones((2, 1), np.float32), "width")
    with pytest.raises(
        ModelError, match=r"m\.onnx: the model failed on a batch: .*MatMul"
    ) as fault:
        run(path, *numbered(np.ones((4, 3))))
    assert "\n" not in str(fault.value)
    assert len(str(fault.value)) < 500
    assert capfd.readouterr() == ("", "")


# Files that are no model.


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"gone\.onnx: no such file \(check `model:`\)"):
        OnnxModel.load(str(tmp_path / "gone.onnx"))
    with pytest.raises(ModelError, match="cannot be read: Is a directory"):
        OnnxModel.load(str(tmp_path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (
            b"version https://example.invalid/git-lfs/v1\noid sha256:00\nsize 9\n",
            r"is a git-LFS pointer, not the model itself \(run `git lfs pull`\)",
        ),
        (b"\x20\x00\x00\x00ORTM\x00", "ORT format"),
        (b"<html>404 not found</html>", "is not an ONNX model: "),
        (b"\x08\x08", "is not an ONNX model: it holds no graph"),
    ],
)
def test_what_only_lies_where_a_model_should_is_refused(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=message):
        OnnxModel.load(str(path))


def test_a_file_cut_off_anywhere_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = Path(linear(tmp_path / "m.onnx", np.ones((2, 1), np.float32), 2)).read_bytes()
    # The last field are the opsets; a file without them has lost its last few bytes.
    for size in range(1, len(whole)):
        (tmp_path / "cut.onnx").write_bytes(whole[:size])
        with pytest.raises(ModelError, match=r"cut\.onnx: "):
            OnnxModel.load(str(tmp_path / "cut.onnx"))
    assert capfd.readouterr() == ("", "")


@given(place=st.integers(0, 10**6), byte=st.integers(0, 255))
def test_a_damaged_byte_is_read_or_refused_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, place: int, byte: int
) -> None:
    folder = tmp_path_factory.getbasetemp()
    weights = outside("weights", "w.bin", [2, 1])
    (folder / "w.bin").write_bytes(b"\x00" * 8)
    path = save(
        folder / "damaged.onnx",
        [node("MatMul", ["x", "weights"], ["y"])],
        [tensor("x", "float", ["N", 2])],
        [tensor("y", "float", ["N", 1])],
        [weights],
    )
    content = bytearray(Path(path).read_bytes())
    content[place % len(content)] = byte
    Path(path).write_bytes(content)
    try:
        assert len(onnxfile.read(path).sha256) == 64
    except ModelError as refusal:
        assert refusal.hint  # noqa: PT017 - either end is fine


def test_a_custom_operator_is_named_with_its_domain(tmp_path: Path) -> None:
    path = save(
        tmp_path / "m.onnx",
        [node("Lookup", ["x"], ["y"], domain="acme.ops")],
        [tensor("x", "float", ["N", 2])],
        [tensor("y", "float", ["N", 2])],
        domains=["acme.ops"],
    )
    with pytest.raises(ModelError) as refusal:
        OnnxModel.load(path)
    assert str(refusal.value) == (
        f"{path}: needs custom operators that onnxruntime lacks: acme.ops::Lookup "
        "(export the model with standard ONNX operators)"
    )


def with_weights(folder: Path, location: str) -> str:
    folder.mkdir(exist_ok=True)
    return save(
        folder / "m.onnx",
        [node("MatMul", ["x", "weights"], ["y"])],
        [tensor("x", "float", ["N", 2])],
        [tensor("y", "float", ["N", 1])],
        [outside("weights", location, [2, 1])],
    )


@pytest.mark.parametrize("location", ["../w.bin", "/w.bin", "a/../../w.bin"])
def test_weights_outside_the_folder_are_refused(tmp_path: Path, location: str) -> None:
    (tmp_path / "w.bin").write_bytes(np.ones(2, np.float32).tobytes())
    path = with_weights(tmp_path / "model", location)
    with pytest.raises(ModelError, match=r"its weights '.*' lie outside the model's folder"):
        OnnxModel.load(path)


def test_a_link_out_of_the_folder_is_no_way_around(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(np.ones(2, np.float32).tobytes())
    path = with_weights(tmp_path / "model", "link.bin")
    (tmp_path / "model" / "link.bin").symlink_to(tmp_path / "w.bin")
    with pytest.raises(ModelError, match="outside the model's folder"):
        OnnxModel.load(path)


def test_weights_beside_the_model_are_used_and_are_part_of_its_identity(tmp_path: Path) -> None:
    path = with_weights(tmp_path / "model", "w.bin")
    with pytest.raises(ModelError, match=r"weights 'w\.bin' cannot be read: No such file"):
        OnnxModel.load(path)
    identities = set()
    for factor in (1.0, 3.0):
        weights = np.full(2, factor, np.float32).tobytes()
        (tmp_path / "model" / "w.bin").write_bytes(weights)
        identities.add(OnnxModel.load(path).sha256)
        (column,) = run(path, *numbered(np.array([[1.0, 2.0]]))).columns
        assert column.values.tolist() == [3 * factor]
    assert len(identities) == 2


# Nothing leaves the machine.

_USE = """
import json, os, sys
from shiftwatch.model import OnnxModel
model = OnnxModel.load(sys.argv[1])
print(json.dumps({"threads": len(os.listdir("/proc/self/task")), "inputs": len(model.inputs)}))
"""


def use(
    path: str, home: Path, prefix: Sequence[str], telemetry: str | None = None
) -> dict[str, int]:
    """Load the model in a process of its own, with this home; what it prints."""
    environment = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    environment |= {"HOME": str(home), "OPENBLAS_NUM_THREADS": "1"}
    for name in ("XDG_CACHE_HOME", "CI"):  # onnxruntime keeps quiet where CI is set
        environment.pop(name, None)
    if telemetry is not None:
        environment["ORT_DISABLE_TELEMETRY"] = telemetry
    command = [*prefix, sys.executable, "-c", _USE, path]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    answer: dict[str, int] = json.loads(done.stdout)
    return answer


def test_loading_a_model_leaves_no_trace_at_home_and_calls_nobody(
    tmp_path: Path, system: Callable[[str], str]
) -> None:
    path = linear(tmp_path / "m.onnx", np.ones((2, 1), np.float32), 2)
    home, trace = tmp_path / "home", tmp_path / "trace.txt"
    home.mkdir()
    strace = [system("strace"), "-f", "-e", "trace=connect", "-o", str(trace)]
    assert use(path, home, strace) == {"threads": 1, "inputs": 1}
    assert list(home.iterdir()) == []
    assert "AF_INET" not in trace.read_text()
    assert "exited with 0" in trace.read_text()


def test_the_trace_at_home_is_there_without_the_switch(
    tmp_path: Path, system: Callable[[str], str]
) -> None:
    unshare = [system("unshare"), "--net"]
    if subprocess.run([*unshare, "true"], check=False, capture_output=True).returncode:
        absent("right to a network namespace")
    path = linear(tmp_path / "m.onnx", np.ones((2, 1), np.float32), 2)
    home = tmp_path / "home"
    home.mkdir()
    use(path, home, unshare, telemetry="0")
    # Without this the test above could not fail. Telemetry came with onnxruntime 1.31.
    assert list(home.rglob("*.db"))


def test_onnxruntime_is_not_imported_while_its_telemetry_is_on() -> None:
    code = "import os, shiftwatch; del os.environ['ORT_DISABLE_TELEMETRY']; import shiftwatch.model"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "ORT_DISABLE_TELEMETRY must be set before onnxruntime" in done.stderr


@pytest.mark.parametrize("name", [b"dim_", b"age_out"])
def test_a_name_that_is_not_utf8_is_a_fault_of_the_model_and_nothing_is_printed(
    name: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "m.onnx"
    echo(path, age=("float", ["dim_", 1]))
    data = path.read_bytes()
    assert name in data
    path.write_bytes(data.replace(name, name[:-1] + b"\xff"))
    with pytest.raises(ModelError) as caught:
        OnnxModel.load(str(path))
    assert str(path) in str(caught.value)
    assert "utf-8" in str(caught.value).lower()
    assert capfd.readouterr() == ("", "")
