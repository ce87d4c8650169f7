"""whylogs: KS and chi-square between profiles; a profile holds sketches, so answers are near ones."""

from __future__ import annotations

from typing import Any

import pandas as pd
import whylogs
from whylogs.viz.drift.column_drift_algorithms import KS, calculate_drift_scores

from benchmarks.peers import answering
from benchmarks.peers.answering import Found, Task, Told


def _profile(frame: Any) -> Any:
    return whylogs.log(pandas=frame).view()


def ks(task: Task) -> Told:
    """The batch is profiled each time, the reference once."""
    reference, batch = (_frame(side.T) for side in task.arrays())

    def check(kept: Any) -> Found:
        view, test = _profile(batch), KS()
        pairs = [(view.get_column(name), kept.get_column(name)) for name in batch.columns]
        made = [test.calculate(ours, theirs) for ours, theirs in pairs]
        return [each.statistic for each in made[:10]], [each.pvalue for each in made[:10]]

    return answering.timed(task, lambda: _profile(reference), check)


def _frame(rows: Any) -> Any:
    return pd.DataFrame(rows, columns=[f"x{j}" for j in range(rows.shape[1])])


def check_tables(task: Task) -> Told:
    """Its own choice of test by column; the batch read from Parquet each time."""

    def check(kept: Any) -> Found:
        view = _profile(pd.read_parquet(task.table("batch")))
        calculate_drift_scores(target_view=view, reference_view=kept)
        return [], []

    def prepare() -> Any:
        return _profile(pd.read_parquet(task.table("reference")))

    return answering.timed(task, prepare, check)


if __name__ == "__main__":
    answering.main(
        "whylogs",
        {
            "ks_reference_100k": ks,
            "ks_reference_1m": ks,
            "check_univariate": check_tables,
            "cold_compare": check_tables,
        },
    )
