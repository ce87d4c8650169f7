"""Classifier two-sample test: whether the batch can be told from the reference.

In:    a reference sample, prepared once; the current sample.
Out:   a p-value, the effect 2*AUC-1 of held-out scores, the columns and rows that stand out.
Never: knows a level; takes a textbook null for pooled out-of-fold scores, which is wrong.

Two learners: ``ridge``, closed form in numpy (:mod:`ridge`), and ``trees``, boosted trees of
scikit-learn (:mod:`trees`), which is an extra.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shiftwatch.sample import Sample
from shiftwatch.twosample import ridge, trees
from shiftwatch.twosample.protocol import NotTested, Outcome, Prepared


@dataclass(frozen=True, slots=True)
class Classifier:
    """Classifier test of a whole scope; see ``settings.ClassifierSettings``.

    Raises
    ------
    ConfigError
        If ``learner`` is ``trees`` and scikit-learn is not installed: at once, when the tests of a
        model are built, and not in the middle of a batch.
    """

    learner: str = "ridge"
    permutations: int = 999
    max_rows: int = 5000

    name = "c2st"

    def __post_init__(self) -> None:
        if self.learner == "trees":
            trees.require()

    def prepare(self, reference: Sample, rng: np.random.Generator) -> Prepared:
        """Keep what the learner needs of the reference."""
        if self.learner == "trees":
            return trees.prepare(reference, self.max_rows, rng)
        return ridge.prepare(reference, self.max_rows, rng)

    def run(
        self, prepared: Prepared, current: Sample, rng: np.random.Generator
    ) -> Outcome | NotTested:
        """Compare; rows beyond ``max_rows`` are left out at random."""
        if self.learner == "trees":
            return trees.run(prepared, current, self.max_rows, rng)
        return ridge.run(prepared, current, (self.permutations, self.max_rows), rng)
