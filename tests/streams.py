"""Run a stream through the real monitor, store and worker, as `shiftwatch once` does."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from shiftwatch.monitor import Monitor
from shiftwatch.settings import (
    AlarmSettings,
    ColumnSettings,
    KsSettings,
    ModelSettings,
    Settings,
    StoreSettings,
    TestsSettings,
)
from shiftwatch.store import Store
from shiftwatch.values import Decision, Run, Scope

LONG_AGO = 1_600_000_000.0


def settings_of(folder: Path, *models: ModelSettings) -> Settings:
    return Settings(
        models=models, alarms=AlarmSettings(), store=StoreSettings(str(folder / "s.db"))
    )


def ks_model(folder: Path, reference: pa.Table) -> ModelSettings:
    """A model of KS alone, so that a check takes milliseconds, with its reference and its folder."""
    pq.write_table(reference, folder / "reference.parquet")
    (folder / "batches").mkdir()
    return ModelSettings(
        name="m",
        reference=str(folder / "reference.parquet"),
        batches=str(folder / "batches"),
        columns=ColumnSettings(time="at"),
        tests=TestsSettings(ks=KsSettings()),
    )


def judge(folder: Path, model: ModelSettings) -> list[Run]:
    """Judge everything due once; a fault of the model is an error of the test."""
    settings = settings_of(folder, model)
    with Store.open(settings.store.path, clock=time.time) as store:
        monitor = Monitor(settings, store, time.time, {model.name: "test"})
        runs = list(monitor.step())
        (status,) = monitor.snapshot.models
    assert status.fault is None, status.fault
    return runs


def write_batches(folder: Path, tables: Sequence[pa.Table]) -> str:
    target = folder / "batches"
    target.mkdir(exist_ok=True)
    for index, table in enumerate(tables):
        pq.write_table(table, target / f"batch-{index:03}.parquet")
    return str(target)


def slices(table: pa.Table, rows: int) -> list[pa.Table]:
    return [table.slice(start, rows) for start in range(0, table.num_rows, rows)]


def scope(run: Run, name: Scope) -> Decision:
    return next(decision for decision in run.decisions if decision.scope == name)
