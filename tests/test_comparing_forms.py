"""The same rows have the same numbers, whether they come as a file, a table or a data frame."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import shiftwatch
from shiftwatch.cli import app
from tests.comparing_rows import Stream, made, told
from tests.schema import valid_report


@pytest.fixture(scope="module")
def pair() -> tuple[pa.Table, pa.Table]:
    return made(1, 3000), made(2, 900, shift=0.3)


FORMS = (
    "file",
    "files",
    "stream",
    "batch",
    "reader",
    "dict",
    "pandas",
    "arrow in pandas",
    "polars",
)


def shaped(table: pa.Table, form: str, folder: Path) -> Any:
    """The same rows in another form."""
    name = f"rows-{table.num_rows}"
    if form in ("file", "files"):
        half = table.num_rows // 2 if form == "files" else table.num_rows
        paths = [folder / f"{name}-{part}.parquet" for part in (1, 2)]
        for path, part in zip(paths, (table.slice(0, half), table.slice(half)), strict=True):
            pq.write_table(part, path)
        return [str(path) for path in paths] if form == "files" else paths[0]
    if form.endswith("pandas"):
        pandas = importlib.import_module("pandas")
        return table.to_pandas(types_mapper=pandas.ArrowDtype if form != "pandas" else None)
    if form == "polars":
        return importlib.import_module("polars").from_arrow(table)
    makers: dict[str, Callable[[], Any]] = {
        "stream": lambda: Stream(table),
        "batch": lambda: table.combine_chunks().to_batches()[0],
        "reader": lambda: table.to_reader(max_chunksize=700),
        "dict": lambda: {name: table.column(name) for name in table.column_names},
    }
    return makers[form]()


@pytest.fixture(scope="module")
def of_tables(pair: tuple[pa.Table, pa.Table]) -> shiftwatch.Report:
    return shiftwatch.compare(*pair)


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_the_same_rows_have_the_same_numbers_in_every_form(
    form: str, pair: tuple[pa.Table, pa.Table], of_tables: shiftwatch.Report, tmp_path: Path
) -> None:
    report = shiftwatch.compare(*(shaped(table, form, tmp_path) for table in pair))
    assert len(told(of_tables)) > 20
    assert {"ks", "chi2", "mmd", "c2st", "nulls"} <= {entry[0] for entry in told(of_tables)}
    assert told(report) == told(of_tables)
    kinds = [{c["name"]: c["kind"] for c in each.columns} for each in (report, of_tables)]
    assert kinds[0] == kinds[1]
    assert report.reasons == of_tables.reasons


@pytest.mark.slow
def test_sides_of_two_forms_are_as_good(
    pair: tuple[pa.Table, pa.Table], of_tables: shiftwatch.Report, tmp_path: Path
) -> None:
    mixed = shiftwatch.compare(
        shaped(pair[0], "file", tmp_path), shaped(pair[1], "pandas", tmp_path)
    )
    assert told(mixed) == told(of_tables)
    assert of_tables.explanation["comparison"] == {
        "reference": "pyarrow.Table of 3,000 rows",
        "current": "pyarrow.Table of 900 rows",
    }
    assert mixed.explanation["comparison"] == {
        "reference": str(tmp_path / "rows-3000-1.parquet"),
        "current": "pandas.DataFrame of 900 rows",
    }


def test_rows_too_many_to_test_are_drawn_alike_in_every_form(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    sides = [pa.table({"x": rng.normal(size=rows)}) for rows in (500, 9000)]
    files = [shaped(table, "file", tmp_path) for table in sides]
    of_files, of_tables = (shiftwatch.compare(*pair, tests=["ks"]) for pair in (files, sides))
    assert of_tables.results[0]["rows_current"] < 9000
    assert told(of_files) == told(of_tables)


def test_another_seed_draws_other_numbers(pair: tuple[pa.Table, pa.Table]) -> None:
    sides = [table.select(["x", "n"]).slice(0, 600) for table in pair]
    draws = [shiftwatch.compare(*sides, tests=["c2st"], seed=seed) for seed in (0, 0, 1)]
    assert told(draws[0]) == told(draws[1])
    assert told(draws[0]) != told(draws[2])


def test_records_of_numpy_are_a_table() -> None:
    records = np.zeros(60, dtype=[("x", "f8"), ("n", "i4")])
    records["x"] = np.random.default_rng(0).normal(size=60)
    report = shiftwatch.compare(records, records[:40], tests=["ks"])
    assert {column["name"]: column["kind"] for column in report.columns} == {
        "x": "numeric",
        "n": "numeric",
    }


def test_nan_and_null_are_both_no_value() -> None:
    values = [float(i % 50) for i in range(400)]
    nan = [float("nan") if i % 4 == 0 else v for i, v in enumerate(values)]
    null = [None if i % 4 == 0 else v for i, v in enumerate(values)]
    report = shiftwatch.compare({"x": nan}, {"x": null}, tests=["ks", "nulls"])
    assert report.state == "no_shift"
    assert [(c["nulls_reference"], c["nulls_current"]) for c in report.columns] == [(100, 100)]


def test_the_verb_says_the_same_and_verify_makes_it_again(
    pair: tuple[pa.Table, pa.Table], of_tables: shiftwatch.Report, tmp_path: Path
) -> None:
    paths = [str(shaped(table, "file", tmp_path)) for table in pair]
    ended = CliRunner().invoke(app, ["compare", *paths, "--json"])
    document = json.loads(ended.stdout)
    valid_report(document)
    assert document["results"] == of_tables.to_dict()["results"]
    (tmp_path / "report.json").write_text(ended.stdout, encoding="utf-8")
    again = CliRunner().invoke(app, ["verify", str(tmp_path / "report.json")])
    assert (again.exit_code, again.stdout.splitlines()[0].rpartition(": ")[2]) == (0, "the same")


def test_a_hidden_index_of_pandas_is_no_column_also_in_a_file(tmp_path: Path) -> None:
    pandas = importlib.import_module("pandas")
    rng = np.random.default_rng(8)
    whole = pandas.DataFrame({"x": rng.normal(size=900)})
    before, after = (part[part.x > -1] for part in (whole[:500], whole[500:]))
    after.to_parquet(tmp_path / "after.parquet")
    assert "__index_level_0__" in pq.read_schema(tmp_path / "after.parquet").names
    of_frames = shiftwatch.compare(before, after, tests=["ks"])
    of_file = shiftwatch.compare(before, tmp_path / "after.parquet", tests=["ks"])
    assert told(of_file) == told(of_frames)
    assert {column["name"] for column in of_file.columns} == {"x"}
    assert not [f for f in of_file.findings if f["code"] == "extra_column"]
    named = before.rename_axis("day")
    of_named = shiftwatch.compare(named, named, tests=["ks"])
    assert {column["name"] for column in of_named.columns} == {"day", "x"}
