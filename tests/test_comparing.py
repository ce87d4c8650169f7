"""`shiftwatch.compare()` and `prepare()`: options, reports, and what importing costs."""

from __future__ import annotations

import copy
import gc
import json
import pickle
import re
import subprocess
import sys
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import shiftwatch
from shiftwatch.errors import ConfigError, DataError
from shiftwatch.report import render_html
from tests import sample_runs
from tests.comparing_rows import made, told
from tests.onnx_models import linear
from tests.schema import valid_report

FAST = ["ks", "chi2", "nulls", "unseen"]


@pytest.fixture(scope="module")
def pair() -> tuple[pa.Table, pa.Table]:
    return made(1, 3000), made(2, 900, shift=0.3)


# --- options ---


def test_a_model_adds_its_predictions(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    linear(tmp_path / "model.onnx", np.array([[1.0], [2.0]], dtype=np.float32), 2)
    tables = [
        pa.table({name: rng.normal(shift, size=500) for name in ("a", "b")}) for shift in (0, 1)
    ]
    report = shiftwatch.compare(*tables, model=tmp_path / "model.onnx", tests=["ks"])
    assert report.scopes["prediction"]["alarm"]


def test_numbers_of_numpy_are_numbers(pair: tuple[pa.Table, pa.Table]) -> None:
    options: dict[str, Any] = {"tolerance": np.float32(0.125), "seed": np.int64(3)}
    options |= {"tests": {"chi2": {"buckets": np.int32(8)}}, "categorical": np.array(["n"])}
    report = shiftwatch.compare(*pair, **options)
    assert report.provenance["seed"] == 3
    assert report.provenance["settings"]["tolerance"]["default"] == 0.125
    assert ("chi2", "n") in {(r["test"], r["target"]) for r in report.results}


def test_a_tolerance_holds_back_what_is_smaller() -> None:
    rng = np.random.default_rng(5)
    before = pa.table({"x": rng.normal(size=9000)})
    after = pa.table({"x": rng.normal(0.15, size=9000)})
    assert shiftwatch.compare(before, after, tests=["ks"]).alarm
    assert not shiftwatch.compare(before, after, tests=["ks"], tolerance={"x": 0.2}).alarm
    with pytest.raises(DataError, match="names 'y', which is no input"):
        shiftwatch.compare(before, after, tests=["ks"], tolerance={"y": 0.2})


# --- a prepared reference ---


@pytest.fixture(scope="module")
def of_tables(pair: tuple[pa.Table, pa.Table]) -> shiftwatch.Report:
    return shiftwatch.compare(*pair)


def test_a_prepared_reference_gives_the_same_and_costs_the_batch_alone(
    pair: tuple[pa.Table, pa.Table], of_tables: shiftwatch.Report
) -> None:
    before, after = pair
    with shiftwatch.prepare(before) as reference:
        assert (reference.rows, repr(reference)[:34]) == (
            3000,
            "<reference pyarrow.Table of 3,000 ",
        )
        first, second = (shiftwatch.compare(reference, after) for _ in range(2))
    assert told(first) == told(second) == told(of_tables)
    assert "prepare" in first.cost["stages"]
    assert "prepare" not in second.cost["stages"], "the reference was prepared once"
    assert second.cost["cpu_seconds"] < first.cost["cpu_seconds"] / 2


def test_a_closed_reference_says_so(pair: tuple[pa.Table, pa.Table]) -> None:
    with shiftwatch.prepare(pair[0], tests=["ks"]) as reference:
        pass
    with pytest.raises(DataError, match="is closed"):
        shiftwatch.compare(reference, pair[1])
    assert repr(reference).endswith("closed>")


def test_a_reference_nobody_holds_leaves_no_process_and_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    table = pa.table({"x": [float(i) for i in range(50)]})
    reference = shiftwatch.prepare(table, tests=["ks"])
    shiftwatch.compare(reference, table)
    pid = reference._prepared.worker.pid
    assert Path(f"/proc/{pid}").exists()
    assert list(tmp_path.iterdir())
    del reference
    gc.collect()
    assert not Path(f"/proc/{pid}").exists()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(DataError):
        shiftwatch.prepare({"x": [{1: 2}, 3]})
    assert list(tmp_path.iterdir()) == []


def test_options_belong_to_the_reference(pair: tuple[pa.Table, pa.Table]) -> None:
    with shiftwatch.prepare(pair[0], tests=["ks"]) as reference:
        for option in ({"tests": ["mmd"]}, {"tolerance": 0.0}, {"seed": 3}):
            with pytest.raises(ConfigError, match="prepared already"):
                shiftwatch.compare(reference, pair[1], **option)
        with pytest.raises(DataError, match="current: is a prepared reference"):
            shiftwatch.compare(pair[0], reference)  # type: ignore[arg-type]
        with pytest.raises(DataError, match="reference: is prepared already"):
            shiftwatch.prepare(reference)  # type: ignore[arg-type]


# --- the report ---


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
    assert set(shiftwatch.Report.__annotations__) == set(report.to_dict()), "every field has a type"


def test_a_report_can_be_copied_pickled_and_read_again(pair: tuple[pa.Table, pa.Table]) -> None:
    report = shiftwatch.compare(*pair, tests=FAST)
    for again in (
        pickle.loads(pickle.dumps(report)),  # noqa: S301 - our own
        copy.copy(report),
        copy.deepcopy(report),
        shiftwatch.Report.from_json(report.to_json()),
        shiftwatch.Report.from_dict(report.to_dict()),
    ):
        assert again == report
        assert again is not report
        assert again.to_html() == report.to_html()
        assert again.to_markdown() == report.to_markdown()


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
    assert report.to_html() == render_html(run)
    assert isinstance(report, shiftwatch.Report)
    (tmp_path / "report.json").write_text("[]", encoding="utf-8")
    with pytest.raises(DataError, match="is no report"):
        shiftwatch.read_report(tmp_path / "report.json")


# --- the package ---


def test_the_package_is_light_until_it_is_asked_and_compare_stays_a_function() -> None:
    script = (
        "import sys, shiftwatch\n"
        "heavy = ('numpy', 'scipy', 'pyarrow', 'onnxruntime', 'jinja2', 'pydantic')\n"
        "ours = [name for name in sys.modules if name.startswith('shiftwatch.')]\n"
        "print([name for name in heavy if name in sys.modules], ours)\n"
        "import shiftwatch.comparing, shiftwatch.contrast, shiftwatch.comparison, shiftwatch.cli\n"
        "import shiftwatch.verbs.comparing\n"
        "print(callable(shiftwatch.compare), [n for n in heavy[:4] if n in sys.modules])\n"
        "print(*dir(shiftwatch))\n"
        "print(shiftwatch.Report.__name__, shiftwatch.errors.DataError.__name__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        "[] ['shiftwatch.errors']",
        "True []",
        "Reference Report __version__ compare errors prepare read_report",
        "Report DataError",
    ]
    assert files("shiftwatch").joinpath("py.typed").is_file()
    with pytest.raises(AttributeError, match="no attribute 'comparer'"):
        _ = shiftwatch.comparer


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
