"""What a two-sample test is: the shape every file of this room has.

In:    a reference column or sample, prepared once; a current one per batch.
Out:   Outcome (statistic, p-value, effect) or NotTested(reason).
Never: compares with a level; reads a clock, a file or global randomness.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from shiftwatch.sample import Column, Sample
from shiftwatch.values import Kind

MIN_ROWS = 10
"""Non-null rows below which a test answers ``too_few_rows`` instead of a p-value.

Every null law is exact down to here (the conformance suite watches it). How many rows are worth a
verdict is another question: ``window.min_rows`` answers it, with 30 unless configured.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """What a test keeps of the reference: arrays (mapped from disk later) and small JSON facts."""

    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Evidence of one test on one target; fields as in ``values.TwoSampleResult``."""

    statistic: float
    p_value: float
    effect: float
    effect_low: float | None
    effect_high: float | None
    rows_reference: int
    rows_current: int
    explanation: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NotTested:
    """Why there is no p-value: ``reason`` is a key of ``values.SKIP_REASONS``."""

    reason: str
    detail: str = ""


class ColumnTest(Protocol):
    """A test of one column at a time."""

    @property
    def name(self) -> str:
        """Name in configuration, metrics and reports."""
        ...

    @property
    def kinds(self) -> frozenset[Kind]:
        """Kinds of column it applies to."""
        ...

    def prepare(self, reference: Column, rng: np.random.Generator) -> Prepared:
        """Keep what ``run`` needs of the reference column."""
        ...

    def run(
        self, prepared: Prepared, current: Column, rng: np.random.Generator
    ) -> Outcome | NotTested:
        """Compare; the answer does not depend on the order of rows."""
        ...


@runtime_checkable
class Explaining(Protocol):
    """A test of one column that can say more than it needs to answer: for who reads the report."""

    def explain(self, prepared: Prepared, current: Column) -> Mapping[str, Any]:
        """What is added to the explanation of an outcome on the same two columns."""
        ...


class JointTest(Protocol):
    """A test of all columns of a scope together; the samples hold only testable columns."""

    @property
    def name(self) -> str:
        """Name in configuration, metrics and reports."""
        ...

    def prepare(self, reference: Sample, rng: np.random.Generator) -> Prepared:
        """Keep what ``run`` needs of the reference sample."""
        ...

    def run(
        self, prepared: Prepared, current: Sample, rng: np.random.Generator
    ) -> Outcome | NotTested:
        """Compare; ``current`` has the columns of the reference, in its order."""
        ...
