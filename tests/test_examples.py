"""Rows in a report: ten at most, only where they are asked for, and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shiftwatch.document import dumps, to_document
from shiftwatch.report import csv_table, markdown, render_html, table
from shiftwatch.settings import ModelSettings, ReportSettings, TestsSettings
from shiftwatch.values import Run
from tests.streams import judge, write_batches

ODD = 98765.4321
NAME = "a-person-nobody-should-read"


def judged(folder: Path, *, rows: bool) -> Run:
    folder.mkdir()
    rng = np.random.default_rng(1)
    names = [f"p{k % 400}" for k in range(2000)]
    reference = pa.table({"x": rng.normal(size=2000), "y": rng.normal(size=2000), "who": names})
    pq.write_table(reference, folder / "reference.parquet")
    x = rng.normal(2, 1, 300)
    x[7] = ODD
    who = [*names[:7], NAME, *names[8:300]]
    batch = pa.table({"x": x, "y": rng.normal(size=300), "who": who})
    model = ModelSettings(
        name="m",
        reference=str(folder / "reference.parquet"),
        batches=write_batches(folder, [batch]),
        tests=TestsSettings.all(),
    )
    (run,) = judge(folder, replace(model, report=ReportSettings(rows)))
    return run


def test_rows_are_in_no_report_unless_they_are_asked_for(tmp_path: Path) -> None:
    run = judged(tmp_path / "off", rows=False)
    assert "rows" not in run.explanation
    for text in (
        dumps(to_document(run)),
        render_html(run),
        markdown(run),
        csv_table(run),
        table(run),
    ):
        assert "98765" not in text.replace(",", "")


def test_where_they_are_asked_for_the_oddest_come_with_the_column_that_moved_first(
    tmp_path: Path,
) -> None:
    run = judged(tmp_path / "on", rows=True)
    told = run.explanation["rows"]["input"]
    assert told["columns"][0] == "x"
    assert 1 <= len(told["rows"]) <= 10
    assert all(len(row) == len(told["columns"]) for row in told["rows"])
    page = render_html(run)
    assert "Example rows" in page
    assert "holds example rows" in page
    assert all(float(row[0]) > 0.5 for row in told["rows"]), "those of the moved column"
