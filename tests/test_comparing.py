"""`shiftwatch.compare()`: the same numbers from a file or a table, light to import, honest when asked."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import shiftwatch
from shiftwatch.cli import app
from shiftwatch.errors import ConfigError, DataError, ShiftwatchError
from tests import sample_runs
from tests.onnx_models import linear
from tests.schema import valid_report

FAST = ["ks", "chi2", "nulls", "unseen"]


class Stream:
    """Anything that offers itself as an Arrow stream, as data frames do."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)


def made(seed: int, rows: int, shift: float = 0.0) -> pa.Table:
    """Columns of every kind, with nulls and NaN."""
    rng = np.random.default_rng(seed)
    x = rng.normal(shift, size=rows)
    x[::17] = np.nan
    cities = rng.choice(["Oslo", "Rome", "Lima"], size=rows, p=[0.5, 0.3, 0.2])
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return pa.table(
        {
            "x": pa.array(x),
            "n": pa.array(rng.integers(0, 1000, rows), pa.int64(), mask=rng.random(rows) < 0.05),
            "small": pa.array(rng.normal(size=rows).astype(np.float32)),
            "city": pa.array(cities.tolist()),
            "coded": pa.array(cities.tolist()).dictionary_encode(),
            "yes": pa.array(rng.random(rows) < 0.4),
            "price": pa.array([Decimal(int(v)) / 100 for v in rng.integers(0, 9999, rows)]),
            "when": pa.array([start + timedelta(minutes=int(m)) for m in range(rows)]),
            "nested": pa.array([[1, 2]] * rows),
        }
    )


@pytest.fixture(scope="module")
def pair() -> tuple[pa.Table, pa.Table]:
    return made(1, 3000), made(2, 900, shift=0.3)


def told(report: Any) -> list[tuple[Any, ...]]:
    fields = ("test", "target", "statistic", "p_value", "effect", "skipped")
    return [tuple(result[name] for name in fields) for result in report.results]


# --- the same from everywhere ------------------------------------------------------------------


def test_a_table_a_stream_and_a_file_of_the_same_rows_have_the_same_numbers(
    pair: tuple[pa.Table, pa.Table], tmp_path: Path
) -> None:
    before, after = pair
    pq.write_table(before, tmp_path / "before.parquet")
    pq.write_table(after, tmp_path / "after.parquet")
    of_tables = shiftwatch.compare(before, after)
    of_streams = shiftwatch.compare(Stream(before), Stream(after))
    of_files = shiftwatch.compare(tmp_path / "before.parquet", str(tmp_path / "after.parquet"))
    mixed = shiftwatch.compare(before, tmp_path / "after.parquet")
    assert len(told(of_tables)) > 12
    # Batches of the same rows in other bytes draw other permutations, so joint tests may differ.
    exact = [entry for entry in told(of_tables) if entry[0] in FAST]
    for other in (of_streams, of_files, mixed):
        assert [entry for entry in told(other) if entry[0] in FAST] == exact
    assert told(of_streams) == told(of_tables)
    assert of_tables.explanation["comparison"] == {
        "reference": "pyarrow.Table of 3,000 rows",
        "current": "pyarrow.Table of 900 rows",
    }


def test_the_verb_says_the_same(pair: tuple[pa.Table, pa.Table], tmp_path: Path) -> None:
    for name, table in zip(("before", "after"), pair, strict=True):
        pq.write_table(table, tmp_path / f"{name}.parquet")
    paths = [str(tmp_path / "before.parquet"), str(tmp_path / "after.parquet")]
    ended = CliRunner().invoke(app, ["compare", *paths, "--json"])
    document = json.loads(ended.stdout)
    valid_report(document)
    assert document["results"] == shiftwatch.compare(*paths).to_dict()["results"]


@pytest.mark.parametrize("package", ["pandas", "polars"])
def test_data_frames_are_taken_as_they_are(package: str, pair: tuple[pa.Table, pa.Table]) -> None:
    frames = importlib.import_module(package)
    before, after = (table.drop_columns(["nested"]) for table in pair)
    make = (lambda t: t.to_pandas()) if package == "pandas" else frames.from_arrow
    of_frames = shiftwatch.compare(make(before), make(after), tests=["ks"])
    of_tables = shiftwatch.compare(before, after, tests=["ks"])
    floats = [entry for entry in told(of_tables) if entry[1] in ("x", "small")]
    assert [entry for entry in told(of_frames) if entry[1] in ("x", "small")] == floats


def test_a_hidden_index_is_no_column(pair: tuple[pa.Table, pa.Table]) -> None:
    before, after = (
        table.select(["x"]).append_column("__index_level_0__", pa.array(range(table.num_rows)))
        for table in pair
    )
    report = shiftwatch.compare(before, after, tests=["ks"])
    assert {column["name"] for column in report.columns} == {"x"}


def test_a_model_adds_its_predictions(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    linear(tmp_path / "model.onnx", np.array([[1.0], [2.0]], dtype=np.float32), 2)
    tables = [
        pa.table({name: rng.normal(shift, size=500) for name in ("a", "b")}) for shift in (0, 1)
    ]
    report = shiftwatch.compare(*tables, model=tmp_path / "model.onnx", tests=["ks"])
    assert report.scopes["prediction"]["alarm"]


# --- a prepared reference ----------------------------------------------------------------------


def test_a_prepared_reference_gives_the_same_and_costs_the_batch_alone(
    pair: tuple[pa.Table, pa.Table],
) -> None:
    before, after = pair
    with shiftwatch.prepare(before) as reference:
        first = shiftwatch.compare(reference, after)
        began = time.process_time()
        second = shiftwatch.compare(reference, after)
        assert reference.rows == 3000
        assert time.process_time() >= began
    assert first.to_dict()["results"] == second.to_dict()["results"]
    assert told(first) == told(shiftwatch.compare(before, after))
    assert "prepare" not in second.cost["stages"], "the reference was prepared once"


def test_a_closed_reference_says_so(pair: tuple[pa.Table, pa.Table]) -> None:
    with shiftwatch.prepare(pair[0], tests=["ks"]) as reference:
        pass
    with pytest.raises(DataError, match="is closed"):
        shiftwatch.compare(reference, pair[1])


def test_options_belong_to_the_reference(pair: tuple[pa.Table, pa.Table]) -> None:
    with (
        shiftwatch.prepare(pair[0], tests=["ks"]) as reference,
        pytest.raises(ConfigError, match="prepared already"),
    ):
        shiftwatch.compare(reference, pair[1], tests=["mmd"])


# --- the report --------------------------------------------------------------------------------


def test_a_report_has_its_fields_and_every_format(pair: tuple[pa.Table, pa.Table]) -> None:
    report = shiftwatch.compare(*pair, tests=FAST)
    assert (report.state, report.alarm) == ("shift", True)
    assert report.scopes["input"]["columns"] == ["x"]
    valid_report(report.to_dict())
    assert json.loads(report.to_json()) == report.to_dict()
    assert "<!doctype html>" in report.to_html()
    assert report.to_markdown().startswith("## Shift in the inputs")
    assert report.to_csv().startswith("model,batch,scope")
    assert "Shift in the inputs" in repr(report)
    assert {"state", "alarm", "results", "to_html"} <= set(dir(report))


def test_a_report_shows_itself_in_a_frame_of_its_own() -> None:
    report = shiftwatch.compare(
        pa.table({"a<b": [1.0] * 20}), pa.table({"a<b": [2.0] * 20}), tests=["ks"]
    )
    shown = report._repr_html_()
    assert shown.startswith("<iframe sandbox ")
    assert shown.count("<") == 2, "the page is all within the attribute"


def test_the_truth_of_a_report_is_refused_and_an_unknown_field_is_told_with_those_there_are(
    pair: tuple[pa.Table, pa.Table],
) -> None:
    report = shiftwatch.compare(*pair, tests=["ks"])
    with pytest.raises(TypeError, match=r"report\.alarm"):
        bool(report)
    with pytest.raises(AttributeError, match="it has schema_version, model"):
        _ = report.verdict


def test_a_report_of_the_daemon_is_read_again(tmp_path: Path) -> None:
    from shiftwatch.document import to_document  # noqa: PLC0415

    run = sample_runs.shift()
    (tmp_path / "report.json").write_text(json.dumps(to_document(run)), encoding="utf-8")
    report = shiftwatch.read_report(tmp_path / "report.json")
    assert report.to_dict() == to_document(run)
    (tmp_path / "report.json").write_text("[]", encoding="utf-8")
    with pytest.raises(DataError, match="is no report"):
        shiftwatch.read_report(tmp_path / "report.json")


# --- what cannot be compared -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"tests": ["kolmogorov"]}, "no test is called 'kolmogorov'; there are ks, chi2"),
        ({"tests": "ks"}, "is a list of names"),
        ({"tests": {"mmd": {"rows": 3}}}, "mmd has no parameter 'rows'"),
        ({"tests": {"mmd": {"permutations": 3}}}, "mmd.permutations"),
        ({"tolerance": 2.0}, "tolerance.default"),
        ({"categorical": ["nothing"]}, "the reference has no column 'nothing'"),
        ({"model": "no.onnx"}, "no.onnx"),
    ],
)
def test_a_wrong_option_is_told_with_what_would_be_right(
    options: dict[str, Any], told: str
) -> None:
    table = pa.table({"x": [float(i) for i in range(50)]})
    with pytest.raises(ShiftwatchError, match=told):
        shiftwatch.compare(table, table, **options)


@pytest.mark.parametrize("data", [3, [1, 2], {"a": [1]}, None, object()])
def test_what_is_no_table_is_refused_by_its_side(data: Any) -> None:
    table = pa.table({"x": [1.0] * 20})
    with pytest.raises(DataError, match=r"reference: .* is no table"):
        shiftwatch.compare(data, table)
    with pytest.raises(DataError, match=r"current: .* is no table"):
        shiftwatch.compare(table, data)


def test_a_file_that_is_not_there_and_columns_nobody_has_are_named() -> None:
    table = pa.table({"x": [1.0] * 20})
    with pytest.raises(DataError, match=r"no\.parquet"):
        shiftwatch.compare("no.parquet", table)
    report = shiftwatch.compare(table, pa.table({"y": [1.0] * 20}))
    assert report.state == "invalid_data"
    assert [f["column"] for f in report.findings if f["code"] == "missing_column"] == ["x"]


def test_a_tolerance_holds_back_what_is_smaller() -> None:
    rng = np.random.default_rng(5)
    before = pa.table({"x": rng.normal(size=9000)})
    after = pa.table({"x": rng.normal(0.15, size=9000)})
    assert shiftwatch.compare(before, after, tests=["ks"]).alarm
    assert not shiftwatch.compare(before, after, tests=["ks"], tolerance=0.2).alarm
    assert not shiftwatch.compare(before, after, tests=["ks"], tolerance={"x": 0.2}).alarm
    with pytest.raises(DataError, match="names 'y', which is no input"):
        shiftwatch.compare(before, after, tests=["ks"], tolerance={"y": 0.2})


# --- the package -------------------------------------------------------------------------------


def test_the_package_is_light_until_it_is_asked_and_compare_stays_a_function() -> None:
    script = (
        "import sys, shiftwatch\n"
        "heavy = ('numpy', 'scipy', 'pyarrow', 'onnxruntime', 'jinja2', 'pydantic')\n"
        "print([name for name in heavy if name in sys.modules])\n"
        "import shiftwatch.comparing, shiftwatch.contrast, shiftwatch.comparison, shiftwatch.cli\n"
        "print(callable(shiftwatch.compare), [n for n in heavy[:4] if n in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["[]", "True []"]


def test_the_verb_ends_as_a_pipeline_asks(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    tables = {
        "before": pa.table({"x": rng.normal(size=900)}),
        "same": pa.table({"x": rng.normal(size=400)}),
        "moved": pa.table({"x": rng.normal(1, size=400)}),
        "few": pa.table({"x": rng.normal(size=5)}),
    }
    for name, table in tables.items():
        pq.write_table(table, tmp_path / f"{name}.parquet")

    def status(current: str, *options: str) -> int:
        paths = [str(tmp_path / f"{name}.parquet") for name in ("before", current)]
        return CliRunner().invoke(app, ["compare", *paths, "--test", "ks", *options]).exit_code

    both = ("--fail-on-alarm", "--fail-on-untested")
    assert [status(name) for name in ("same", "moved", "few")] == [0, 0, 0]
    assert [status(name, *both) for name in ("same", "moved", "few")] == [0, 1, 1]
    assert status("few", "--fail-on-alarm") == 0
    assert status("same", "--test", "no such") == 78


def test_the_verb_writes_every_format(tmp_path: Path) -> None:
    table = pa.table({"x": [float(i) for i in range(100)], "y": ["a"] * 100})
    pq.write_table(table, tmp_path / "a.parquet")
    wanted = {"--html": "<!doctype html>", "--markdown": "## ", "--csv": "model,batch"}
    options = [part for name in wanted for part in (name, str(tmp_path / name[2:]))]
    path = str(tmp_path / "a.parquet")
    ended = CliRunner().invoke(app, ["compare", path, path, "--exclude", "y", *options])
    assert ended.exit_code == 0, ended.stderr
    for name, beginning in wanted.items():
        text = (tmp_path / name[2:]).read_text(encoding="utf-8")
        assert text.startswith(beginning)
    assert "`y`" not in (tmp_path / "markdown").read_text(encoding="utf-8")


def test_the_example_of_the_readme_runs(
    tmp_path: Path, pair: tuple[pa.Table, pa.Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
    (code,) = re.findall(
        r"```python\n(from pathlib import Path\n\nimport shiftwatch\n.*?)```", readme, re.DOTALL
    )
    for name, table in zip(("reference", "current"), pair, strict=True):
        pq.write_table(table, tmp_path / f"{name}.parquet")
    monkeypatch.chdir(tmp_path)
    told: dict[str, Any] = {}
    exec(compile(code, "README.md", "exec"), told)  # noqa: S102 - our own example
    assert told["alarms"] == [True]
    assert (tmp_path / "report.html").is_file()
