"""Evidently: a drift report, KS and chi-square by column."""

from __future__ import annotations

from typing import Any

import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset

from benchmarks.peers import answering
from benchmarks.peers.answering import Found, Task, Told


def _definition(frame: Any) -> Any:
    numbers = [name for name in frame.columns if frame[name].dtype.kind == "f"]
    texts = [name for name in frame.columns if name not in numbers]
    return DataDefinition(numerical_columns=numbers, categorical_columns=texts)


def _report(batch: Any, reference: Any) -> Found:
    preset = DataDriftPreset(num_method="ks", cat_method="chisquare")
    found = Report([preset]).run(batch, reference).dict()
    values = [metric["value"] for metric in found["metrics"]]
    return [], [value for value in values if isinstance(value, float)][:10]


def ks(task: Task) -> Told:
    """Its answer is the p-value of ``ks_2samp``."""
    frames = [_frame(side.T) for side in task.arrays()]
    definition = _definition(frames[0])
    reference, batch = (Dataset.from_pandas(each, data_definition=definition) for each in frames)
    return answering.timed(task, lambda: reference, lambda kept: _report(batch, kept))


def _frame(rows: Any) -> Any:
    return pd.DataFrame(rows, columns=[f"x{j}" for j in range(rows.shape[1])])


def check_tables(task: Task) -> Told:
    """The batch read from Parquet each time, the answer as a dictionary."""

    def read(name: str) -> Any:
        frame = pd.read_parquet(task.table(name))
        return Dataset.from_pandas(frame, data_definition=_definition(frame))

    return answering.timed(
        task, lambda: read("reference"), lambda reference: _report(read("batch"), reference)
    )


if __name__ == "__main__":
    answering.main(
        "evidently",
        {"ks_reference_100k": ks, "check_univariate": check_tables, "cold_compare": check_tables},
    )
