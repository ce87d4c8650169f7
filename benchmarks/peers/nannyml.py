"""NannyML: KS from 10 000 bins and chi-square, decided by thresholds; a domain classifier."""

from __future__ import annotations

from typing import Any

import pandas as pd
from nannyml.drift.multivariate.domain_classifier import DomainClassifierCalculator
from nannyml.drift.univariate import UnivariateDriftCalculator

from benchmarks.peers import answering
from benchmarks.peers.answering import Found, Task, Told


def ks(task: Task) -> Told:
    """The batch is one chunk."""
    reference, batch = (_frame(side.T) for side in task.arrays())

    def prepare() -> Any:
        calculator = UnivariateDriftCalculator(
            column_names=list(reference.columns),
            continuous_methods=["kolmogorov_smirnov"],
            chunk_size=len(batch),
        )
        return calculator.fit(reference)

    def check(calculator: Any) -> Found:
        found = calculator.calculate(batch).to_df(multilevel=False)
        values = [float(found[f"x{j}_kolmogorov_smirnov_value"].iloc[-1]) for j in range(10)]
        return values, []

    return answering.timed(task, prepare, check)


def _frame(rows: Any) -> Any:
    return pd.DataFrame(rows, columns=[f"x{j}" for j in range(rows.shape[1])])


def domain_classifier(task: Task) -> Told:
    """LightGBM in 5 folds, its defaults."""
    reference, batch = (_frame(side) for side in task.arrays())

    def prepare() -> Any:
        calculator = DomainClassifierCalculator(
            feature_column_names=list(reference.columns), chunk_size=len(batch)
        )
        return calculator.fit(reference)

    def check(calculator: Any) -> Found:
        calculator.calculate(batch)
        return [], []

    return answering.timed(task, prepare, check)


def check_tables(task: Task) -> Told:
    """KS and chi-square; the batch read from Parquet each time."""

    def prepare() -> Any:
        table = pd.read_parquet(task.table("reference"))
        calculator = UnivariateDriftCalculator(
            column_names=list(table.columns),
            continuous_methods=["kolmogorov_smirnov"],
            categorical_methods=["chi2"],
            chunk_size=10_000,
        )
        return calculator.fit(table)

    def check(calculator: Any) -> Found:
        calculator.calculate(pd.read_parquet(task.table("batch"))).to_df()
        return [], []

    return answering.timed(task, prepare, check)


if __name__ == "__main__":
    answering.main(
        "nannyml",
        {
            "ks_reference_100k": ks,
            "ks_reference_1m": ks,
            "ks_1000_columns": ks,
            "classifier_trees": domain_classifier,
            "check_univariate": check_tables,
            "cold_compare": check_tables,
        },
    )
