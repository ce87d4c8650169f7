"""alibi-detect: KS column by column, MMD by permutation with torch, classifiers, mixed tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from alibi_detect.cd import ClassifierDrift, KSDrift, MMDDrift, TabularDrift
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from benchmarks.peers import answering
from benchmarks.peers.answering import MMD_GAMMA, MMD_PERMUTATIONS, Found, Task, Told

_SHORT = {"mmd_5000": (2, 10), "mmd_10000": (2, 5)}
"""Permutations that are run where all of them would take hours."""

_FOLDS = 5


def _predicted(detector: Any, batch: Any) -> dict[str, Any]:
    found: dict[str, Any] = detector.predict(batch)["data"]
    return found


def ks(task: Task) -> Told:
    """All columns in one detector."""
    reference, batch = (side.T for side in task.arrays())

    def check(detector: Any) -> Found:
        found = _predicted(detector, batch)
        return found["distance"][:10], found["p_val"][:10]

    return answering.timed(task, lambda: KSDrift(reference), check)


def mmd(task: Task) -> Told:
    """Float32; the reference's own kernel matrix is kept. The larger ones are scaled in B."""
    reference, batch = task.arrays()
    sigma = np.array([(2 * MMD_GAMMA) ** -0.5], dtype=np.float32)

    def prepare() -> Any:
        return MMDDrift(
            reference,
            backend="pytorch",
            sigma=sigma,
            configure_kernel_from_x_ref=False,
            n_permutations=MMD_PERMUTATIONS[task.case],
        )

    def check(detector: Any) -> Found:
        found = _predicted(detector, batch)
        return [found["distance"]], [found["p_val"]]

    if task.case not in _SHORT:
        return answering.timed(task, prepare, check, memory=True)
    return _scaled(task, prepare, check)


def _scaled(task: Task, prepare: Any, check: Any) -> Told:
    """Cost is a constant and so much a permutation; both come from two short runs."""
    few, more = _SHORT[task.case]
    detector = prepare()
    kernel = detector._detector  # noqa: SLF001 - where the number of permutations is
    kernel.n_permutations = few
    told = answering.timed(task, lambda: detector, check, memory=True)
    kernel.n_permutations = more
    longer = answering.timed(task, lambda: detector, check)
    each = (np.median(longer.seconds) - np.median(told.seconds)) / (more - few)
    rest = MMD_PERMUTATIONS[task.case] - more
    told.seconds = [float(taken + each * rest) for taken in longer.seconds]
    told.p_value = []
    told.scaled = f"B={few} and B={more}"
    return told


def logistic(task: Task) -> Told:
    """Logistic regression, 5 folds."""
    return _classifier(task, LogisticRegression())


def trees(task: Task) -> Told:
    """scikit-learn's histogram boosting, 5 folds."""
    return _classifier(task, HistGradientBoostingClassifier())


def _classifier(task: Task, model: Any) -> Told:
    reference, batch = (side.astype(np.float64) for side in task.arrays())

    def prepare() -> Any:
        return ClassifierDrift(reference, model, backend="sklearn", n_folds=_FOLDS)

    def check(detector: Any) -> Found:
        found = _predicted(detector, batch)
        return [found["distance"]], [found["p_val"]]

    return answering.timed(task, prepare, check)


def check_tables(task: Task) -> Told:
    """KS and chi-square in one detector; categories as codes, which it cannot make itself."""
    table = pd.read_parquet(task.table("reference"))
    texts = [name for name in table.columns if table[name].dtype.kind != "f"]
    known = {name: sorted(table[name].unique()) for name in texts}

    def coded(frame: Any) -> Any:
        for name in texts:
            frame[name] = pd.Categorical(frame[name], categories=known[name]).codes
        return frame.to_numpy(dtype=np.float64)

    def prepare() -> Any:
        places = {list(table.columns).index(name): None for name in texts}
        return TabularDrift(coded(table), categories_per_feature=places)

    def check(detector: Any) -> Found:
        found = _predicted(detector, coded(pd.read_parquet(task.table("batch"))))
        return [], found["p_val"]

    return answering.timed(task, prepare, check)


if __name__ == "__main__":
    answering.main(
        "alibi-detect",
        {
            "ks_reference_100k": ks,
            "ks_reference_1m": ks,
            "ks_1000_columns": ks,
            "mmd_1000": mmd,
            "mmd_5000": mmd,
            "mmd_10000": mmd,
            "classifier_default": logistic,
            "classifier_trees": trees,
            "check_univariate": check_tables,
            "cold_compare": check_tables,
        },
    )
