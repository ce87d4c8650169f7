"""frouros: Kolmogorov-Smirnov and chi-square column by column, MMD by permutation."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from frouros.callbacks import PermutationTestDistanceBased
from frouros.detectors.data_drift import MMD, ChiSquareTest, KSTest
from frouros.utils.kernels import rbf_kernel

from benchmarks.peers import answering
from benchmarks.peers.answering import MMD_GAMMA, MMD_PERMUTATIONS, Found, Task, Told


def _fitted(detector: Any, values: Any) -> Any:
    detector.fit(X=values)
    return detector


def ks(task: Task) -> Told:
    """A detector a column."""
    references, batches = task.arrays()

    def check(detectors: list[Any]) -> Found:
        pairs = zip(detectors, batches, strict=True)
        made = [detector.compare(X=batch)[0] for detector, batch in pairs]
        return [each.statistic for each in made[:10]], [each.p_value for each in made[:10]]

    return answering.timed(
        task, lambda: [_fitted(KSTest(), column) for column in references], check
    )


def mmd(task: Task) -> Told:
    """Float64, as frouros computes it; one process."""
    reference, batch = task.arrays()
    kernel = partial(rbf_kernel, sigma=(2 * MMD_GAMMA) ** -0.5)
    test = PermutationTestDistanceBased(
        num_permutations=MMD_PERMUTATIONS[task.case],
        num_jobs=1,
        random_state=1,
        name="permutations",
    )

    def check(detector: Any) -> Found:
        found, log = detector.compare(X=batch)
        return [found.distance], [log["permutations"]["p_value"]]

    detector = MMD(kernel=kernel, callbacks=[test])
    return answering.timed(task, lambda: _fitted(detector, reference), check, memory=True)


def check_tables(task: Task) -> Told:
    """A detector a column: KS or chi-square, the batch read from Parquet each time."""

    def prepare() -> dict[str, Any]:
        table = pd.read_parquet(task.table("reference"))
        return {
            name: _fitted(_detector(table[name]), np.asarray(table[name])) for name in table.columns
        }

    def check(detectors: dict[str, Any]) -> Found:
        table = pd.read_parquet(task.table("batch"))
        made = [each.compare(X=np.asarray(table[name]))[0] for name, each in detectors.items()]
        return [], [each.p_value for each in made]

    return answering.timed(task, prepare, check)


def _detector(column: Any) -> Any:
    return KSTest() if column.dtype.kind == "f" else ChiSquareTest()


if __name__ == "__main__":
    answering.main(
        "frouros",
        {
            "ks_reference_100k": ks,
            "ks_reference_1m": ks,
            "ks_1000_columns": ks,
            "mmd_1000": mmd,
            "check_univariate": check_tables,
            "cold_compare": check_tables,
        },
    )
