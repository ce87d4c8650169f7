"""Tests of all columns together: the plain MMD, the default one, and the classifiers."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.speed.clock import extra_megabytes, warm
from benchmarks.speed.data import MMD_GAMMA, MMD_SHAPES, Single, classifier_rows, mmd_rows
from benchmarks.speed.harness import Case, Goal, Measured, Task, agree, faster, tested
from shiftwatch.sample import Sample, numeric
from shiftwatch.twosample import exact, permutation
from shiftwatch.twosample.classifier import Classifier
from shiftwatch.twosample.mmd import Mmd
from shiftwatch.twosample.protocol import JointTest, Outcome

Floats = NDArray[np.float64]

_PLAIN_UP_TO = 10_000
"""Rows of both sides together up to which the plain formula is computed as well: 800 MB."""

_STANDARD_ERRORS = 4.0


def plain_mmd(case: str, task: Task) -> Measured:
    """One exact Gaussian kernel against a kept reference, drawing of the rows' order included."""
    permutations = MMD_SHAPES[case][1]
    reference, batch = mmd_rows(case)
    measured = Measured()
    began = time.process_time()
    kept = exact.keep(mixed(reference, np.random.default_rng(1)), MMD_GAMMA)
    measured.facts["prepare seconds"] = time.process_time() - began

    def ours() -> exact.Compared:
        rng = np.random.default_rng(2)
        return exact.compare(kept, mixed(batch, rng), permutations, rng)

    def once() -> exact.Compared:
        return without_a_kept_reference(reference, batch, permutations)

    measured.facts["extra megabytes"] = extra_megabytes(ours)
    found = ours()
    measured.answers = {"statistic": [found.square], "p_value": [found.p_value]}
    measured.seconds = warm(ours, task.repetitions)
    if task.alone:
        return measured
    if len(reference) + len(batch) <= _PLAIN_UP_TO:
        _agree_with_the_formula(measured, reference, batch, permutations)
    measured.facts["without a kept reference seconds"] = min(warm(once, task.repetitions))
    return measured


def without_a_kept_reference(reference: Single, batch: Single, permutations: int) -> exact.Compared:
    """Both samples at once: what a reference costs that is used one time only."""
    rng = np.random.default_rng(2)
    kept = exact.keep(mixed(reference, rng), MMD_GAMMA)
    return exact.compare(kept, mixed(batch, rng), permutations, rng)


def mixed(rows: Single, rng: np.random.Generator) -> Single:
    """Rows in random order, which does not depend on the order they come in."""
    return rows[permutation.drawn_rows(rows, len(rows), rng)]


def _agree_with_the_formula(
    measured: Measured, reference: Single, batch: Single, permutations: int
) -> None:
    """The unbiased estimate of the whole matrix in double precision, and all its permutations."""
    kernel = _kernel(np.vstack([reference, batch]).astype(np.float64))
    first = np.arange(len(kernel)) < len(reference)
    square = _squares(kernel, first[None, :])
    agree(measured.answers["statistic"], square.tolist(), rtol=0, atol=1e-6)
    rng = np.random.default_rng(4)
    many = np.stack([rng.permutation(first) for _ in range(500)])
    p_value = (1 + np.count_nonzero(_squares(kernel, many) >= square)) / (1 + len(many))
    noise = math.sqrt(p_value * (1 - p_value) * (1 / permutations + 1 / len(many)))
    atol = _STANDARD_ERRORS * noise + 1 / permutations
    agree(measured.answers["p_value"], [p_value], rtol=0, atol=atol)


def _kernel(rows: Floats) -> Floats:
    norms = np.sum(rows**2, axis=1)
    kernel = np.exp(-MMD_GAMMA * (norms[:, None] + norms - 2 * (rows @ rows.T)))
    np.fill_diagonal(kernel, 0.0)
    return np.asarray(kernel)


def _squares(kernel: Floats, first: NDArray[np.bool_]) -> Floats:
    """MMD^2 of Gretton et al. (2012), Lemma 6, for each row of labels."""
    labels = first.astype(np.float64)
    m = labels[0].sum()
    n = len(kernel) - m
    within = np.einsum("bi,bi->b", labels @ kernel, labels)
    across = labels @ kernel.sum(axis=1) - within
    other = kernel.sum() - within - 2 * across
    return np.asarray(within / (m * (m - 1)) + other / (n * (n - 1)) - 2 * across / (m * n))


def mmd_default(task: Task) -> Measured:
    """30 columns, 5000 rows against 1000, nothing has shifted."""
    rng = np.random.default_rng(3)
    sides = rng.standard_normal((5000, 30)), rng.standard_normal((1000, 30))
    return _joint(Mmd(), sides, task)


def classifier_default(task: Task) -> Measured:
    """50 columns, 10k and 10k, of which ``max_rows`` 5000 each are used."""
    return _joint(Classifier(), classifier_rows(), task)


def classifier_trees(task: Task) -> Measured:
    """The same by boosted trees, half of the rows to learn and half to test."""
    test = Classifier(learner="trees")
    return _joint(test, classifier_rows(), task)


def _joint(test: JointTest, sides: tuple[NDArray[Any], NDArray[Any]], task: Task) -> Measured:
    reference, batch = (_sample(side) for side in sides)
    measured = Measured()
    began = time.process_time()
    prepared = test.prepare(reference, np.random.default_rng(1))
    measured.facts["prepare seconds"] = time.process_time() - began

    def ours() -> Outcome:
        return tested(test.run(prepared, batch, np.random.default_rng(2)))

    found = ours()
    measured.answers = {"statistic": [found.statistic], "p_value": [found.p_value]}
    measured.seconds = warm(ours, task.repetitions)
    return measured


def _sample(rows: NDArray[Any]) -> Sample:
    """Column by column, as they come from a file; the peers get the rows as they are."""
    columns = np.ascontiguousarray(rows.T)
    return Sample(len(rows), tuple(numeric(f"x{j:02}", each) for j, each in enumerate(columns)))


_MMD_GOALS: dict[str, tuple[Goal, ...]] = {
    "mmd_1000": (faster("alibi_detect", 200),),
    "mmd_5000": (faster("alibi_detect", 5000), faster("goodpoints", 3)),
    "mmd_10000": (
        *(faster("alibi_detect", 5000), faster("goodpoints", 3)),
        Goal("extra megabytes", 100),
    ),
}


def _mmd_case(case: str) -> Case:
    rows, permutations = MMD_SHAPES[case]
    work = f"MMD, one kernel, 50 columns, {rows:,} v {rows:,}, B={permutations}"

    def run(task: Task) -> Measured:
        return plain_mmd(case, task)

    return Case(case, work, run, _MMD_GOALS[case], quick=case == "mmd_1000")


CASES = (
    *(_mmd_case(case) for case in MMD_SHAPES),
    Case(
        "mmd_default",
        "MMD as by default (combined), 30 columns, 5,000 v 1,000, B=999",
        mmd_default,
        (Goal("seconds", 0.04),),
        quick=True,
    ),
    Case(
        "classifier_default",
        "classifier as by default (ridge), 50 columns, 10,000 v 10,000",
        classifier_default,
        (Goal("seconds", 0.03),),
        quick=True,
    ),
    Case(
        "classifier_trees",
        "classifier by trees, 50 columns, 10,000 v 10,000",
        classifier_trees,
        (Goal("seconds", 0.35),),
    ),
)
