"""What cannot be compared is told: what, where, and what to do."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import shiftwatch
from shiftwatch.contrast import asked_once
from shiftwatch.errors import AwayError, DataError, RefusedError, ShiftwatchError


@pytest.fixture(scope="module")
def reference() -> Iterator[shiftwatch.Reference]:
    with shiftwatch.prepare({"x": [1.0] * 20}, tests=["ks"]) as prepared:
        yield prepared


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"tests": ["kolmogorov"]}, "no test is called 'kolmogorov'; there are ks, chi2"),
        ({"tests": "ks"}, "is a list of names"),
        ({"tests": 3}, "is a list of names"),
        ({"tests": []}, "leaves no test on"),
        ({"tests": {"ks": None}}, "leaves no test on"),
        ({"tests": {"mmd": {"rows": 3}}}, "mmd has no parameter 'rows'"),
        ({"tests": {"mmd": {"permutations": 3}}}, "mmd.permutations"),
        ({"tests": {"mmd": {"permutations": "many"}}}, "mmd.permutations: 'many' is no whole"),
        ({"tests": {"mmd": {"kernel": "box"}}}, "'box' is none of aggregate, median"),
        ({"tests": {"mmd": 3}}, "`mmd` has a mapping of parameters"),
        ({"tolerance": 2.0}, "tolerance.default: 2.0 is no effect size; write 0 to 1"),
        ({"tolerance": "big"}, "tolerance.default: 'big' is no effect size"),
        ({"tolerance": float("nan")}, "tolerance.default: nan"),
        ({"tolerance": {"x": -1}}, "tolerance.x: -1"),
        ({"tolerance": {"mode": "both"}}, "'both' is none of suppress, prove"),
        ({"tolerance": {"tests": {"no": 0.1}}}, "no test is called 'no'"),
        ({"tolerance": {"tests": 0.1}}, "has a mapping of tests"),
        ({"categorical": ["nothing"]}, "the reference has no column 'nothing'"),
        ({"categorical": "x"}, "`categorical` is a list of column names, not 'x'"),
        ({"categorical": [0]}, "is a list of column names"),
        ({"categorical": 0}, "is a list of column names"),
        ({"model": "no.onnx"}, "no.onnx"),
        ({"model": 3}, "`model` is the path of an ONNX file, not int"),
        ({"model": ""}, "`model` is empty"),
        ({"model": "s3://name:word@bucket/m.onnx"}, "model: .*holds a user name"),
        ({"seed": -1}, "`seed` is a whole number from 0 on"),
        ({"seed": "a"}, "`seed` is a whole number from 0 on"),
    ],
)
def test_a_wrong_option_is_told_with_what_would_be_right(
    options: dict[str, Any], told: str
) -> None:
    table = pa.table({"x": [float(i) for i in range(50)]})
    with pytest.raises(ShiftwatchError, match=told):
        shiftwatch.compare(table, table, **options)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (3, "int is no table .give a path, a data frame"),
        ([1, 2], "list is no table"),
        ([], "list is no table"),
        (None, "NoneType is no table"),
        ({}, "the table has no column"),
        ({"a": [1], "b": [1, 2]}, "dict is no table: Column"),
        ({1: [1]}, "a column is named 1, which is no text"),
        ({"a": [{1: 2}, 3]}, "dict is no table: "),
        (np.zeros((5, 2)), "ndarray is no table .name its columns"),
        (pa.chunked_array([[1.0, 2.0]]), "ChunkedArray is no table"),
        (pa.table({"a": pa.nulls(3, pa.month_day_nano_interval())}), "no Parquet type for 'a'"),
        ("", "'' is no path"),
    ],
)
def test_what_is_no_table_is_refused_by_its_side(
    data: Any, told: str, reference: shiftwatch.Reference
) -> None:
    table = pa.table({"x": [1.0] * 20})
    with pytest.raises(DataError, match=f"reference: .*{told}"):
        shiftwatch.compare(data, table)
    with pytest.raises(DataError, match=f"current: .*{told}"):
        shiftwatch.compare(reference, data)
    assert shiftwatch.compare(reference, table).state == "insufficient_data"


def test_what_is_nearly_a_table_is_told_what_to_do(tmp_path: Path) -> None:
    table = pa.table({"x": [1.0] * 40})
    stream = table.to_reader()
    with pytest.raises(DataError, match="both sides are one stream"):
        shiftwatch.compare(stream, stream)
    twice = pa.table([[1.0] * 40, [2.0] * 40], names=["x", "x"])
    with pytest.raises(DataError, match=r"^reference: more than one column is named 'x'"):
        shiftwatch.compare(twice, table)
    with pytest.raises(DataError, match="cannot be put together"):
        shiftwatch.compare(["s3://nowhere/x", "a.parquet"], table)
    with pytest.raises(DataError, match=f"{tmp_path}: no Parquet file"):
        shiftwatch.compare([tmp_path], table)
    with pytest.raises(DataError, match=r"a\.parquet: no such file"):
        shiftwatch.compare(table, [tmp_path / "a.parquet"])


@pytest.mark.parametrize("package", ["pandas", "polars"])
def test_one_column_of_a_frame_is_told_to_be_no_table(package: str) -> None:
    series = importlib.import_module(package).Series([1.0] * 40)
    with pytest.raises(DataError, match=r"Series is no table.*to_frame\(\)"):
        shiftwatch.compare(series, {"x": [1.0] * 40})


def test_a_lazy_frame_is_to_be_collected() -> None:
    lazy = importlib.import_module("polars").LazyFrame({"x": [1.0] * 40})
    with pytest.raises(DataError, match=r"LazyFrame is no table .collect\(\) it first"):
        shiftwatch.compare(lazy, lazy)


def test_a_store_that_does_not_answer_is_told_without_the_daemons_words() -> None:
    with pytest.raises(DataError, match="check the address") as fault, asked_once():
        raise AwayError("it does not answer", where="s3://a", hint="asked again at the next look")
    assert not isinstance(fault.value, AwayError)
    assert "next look" not in str(fault.value)
    with pytest.raises(RefusedError, match="credentials are"), asked_once():
        raise RefusedError("access refused", where="s3://a", hint="credentials are in the moon")


def test_a_file_that_is_not_there_and_columns_nobody_has_are_named() -> None:
    table = pa.table({"x": [1.0] * 20})
    with pytest.raises(DataError, match=r"no\.parquet"):
        shiftwatch.compare("no.parquet", table)
    report = shiftwatch.compare(table, pa.table({"y": [1.0] * 20}))
    assert report.state == "invalid_data"
    assert [f["column"] for f in report.findings if f["code"] == "missing_column"] == ["x"]
