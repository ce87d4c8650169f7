"""`shiftwatch compare`: how it ends in a pipeline, and what it writes where."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from shiftwatch.cli import app


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files to be held against ``before.parquet``."""
    rng = np.random.default_rng(1)
    tables = {
        "before": pa.table({"x": rng.normal(size=900)}),
        "same": pa.table({"x": rng.normal(size=400)}),
        "moved": pa.table({"x": rng.normal(1, size=400)}),
        "few": pa.table({"x": rng.normal(size=5)}),
        "other": pa.table({"y": rng.normal(size=400)}),
    }
    made = tmp_path_factory.mktemp("pairs")
    for name, table in tables.items():
        pq.write_table(table, made / f"{name}.parquet")
    (made / "broken.parquet").write_bytes(b"PAR1 not Parquet at all PAR1")
    return made


def run(folder: Path, current: str, *options: str) -> Any:
    paths = [str(folder / f"{name}.parquet") for name in ("before", current)]
    return CliRunner().invoke(app, ["compare", *paths, "--tests", "ks", *options])


BOTH = ("--fail-on-alarm", "--fail-on-untested")


@pytest.mark.parametrize(
    ("current", "options", "status"),
    [
        ("few", (), 0),
        ("same", BOTH, 0),
        ("moved", BOTH, 1),
        ("few", BOTH, 1),
        ("broken", BOTH, 1),
        ("other", BOTH, 1),
        ("other", ("--fail-on-alarm",), 1),
        ("same", ("--tests", "no such"), 78),
        ("same", ("--tolerance", "x=much"), 78),
        ("same", ("--seed", "-1"), 78),
        ("gone", BOTH, 2),
        ("same", ("--html", "none/page.html"), 70),
    ],
)
def test_it_ends_as_a_pipeline_asks(
    folder: Path, current: str, options: tuple[str, ...], status: int
) -> None:
    assert run(folder, current, *options).exit_code == status


def test_what_could_not_be_judged_is_never_silently_green(folder: Path) -> None:
    ended = run(folder, "few", "--fail-on-alarm")
    assert ended.exit_code == 0
    assert "no verdict, insufficient data: 5 rows of at least 30; --fail-on-unt" in ended.stderr
    assert run(folder, "same", "--fail-on-alarm").stderr == ""


def test_it_writes_every_format(tmp_path: Path) -> None:
    table = pa.table({"x": [float(i) for i in range(100)], "y": ["a"] * 100})
    pq.write_table(table, tmp_path / "a.parquet")
    wanted = {"--html": "<!doctype html>", "--markdown": "## ", "--csv": "model,batch"}
    options = [part for name in wanted for part in (name, str(tmp_path / name[2:]))]
    path = str(tmp_path / "a.parquet")
    ended = CliRunner().invoke(app, ["compare", path, path, "--exclude", "y", *options])
    assert ended.exit_code == 0, ended.stderr
    assert ended.stdout.startswith("No shift")
    for name, beginning in wanted.items():
        text = (tmp_path / name[2:]).read_text(encoding="utf-8")
        assert text.startswith(beginning)
    assert "`y`" not in (tmp_path / "markdown").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("form", "beginning"),
    [("markdown", "## No shift"), ("csv", "model,batch"), ("html", "<!doctype html>")],
)
def test_a_dash_prints_a_format_and_nothing_else(folder: Path, form: str, beginning: str) -> None:
    ended = run(folder, "same", f"--{form}", "-")
    assert (ended.exit_code, ended.stderr) == (0, "")
    assert ended.stdout.startswith(beginning)
    assert "This check took" not in ended.stdout or form != "csv"
    both = run(folder, "same", f"--{form}", "-", "--json")
    assert both.exit_code == 2
    assert "cannot both be printed" in both.stderr


def test_tests_and_tolerances_are_named_in_any_number(folder: Path) -> None:
    options = ("--json", "--tests", "mmd,nulls", "--tolerance", "0.05", "--tolerance", "x=.9")
    document = json.loads(run(folder, "moved", *options).stdout)
    assert {result["test"] for result in document["results"]} == {"ks", "mmd", "nulls"}
    told = document["provenance"]["settings"]["tolerance"]
    assert (told["default"], told["columns"]) == (0.05, {"x": 0.9})


def test_sides_of_one_name_are_told_by_their_paths(tmp_path: Path) -> None:
    for month in ("may", "june"):
        (tmp_path / month).mkdir()
        pq.write_table(pa.table({"x": [1.0] * 40}), tmp_path / month / "rows.parquet")
    paths = [str(tmp_path / month / "rows.parquet") for month in ("may", "june")]
    ended = CliRunner().invoke(app, ["compare", *paths, "--tests", "ks", "--json"])
    named = json.loads(ended.stdout)["explanation"]["comparison"]
    assert list(named.values()) == paths
