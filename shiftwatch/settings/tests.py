"""Settings of the two-sample tests, each with the reason for its default.

In:    plain values.
Out:   TestsSettings and its parts.
Never: runs a test.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from shiftwatch.settings.fields import (
    FieldError,
    check_at_least,
)


@dataclass(frozen=True, slots=True)
class KsSettings:
    """Kolmogorov-Smirnov, per numeric column: nothing to set yet."""


@dataclass(frozen=True, slots=True)
class ChiSquareSettings:
    """Chi-square, per categorical or boolean column."""

    max_draws: int = 20_000
    """Monte-Carlo draws at most, where expected counts are small. A p-value below 1/max_draws
    comes from the tail of a gamma law fitted to the draws."""

    buckets: int = 64
    """Columns with more than ``max_categories`` categories are hashed into this many buckets."""

    max_categories: int = 1000
    """Above this many reference categories, buckets are tested instead: label-free, so exact."""

    def __post_init__(self) -> None:
        check_at_least("max_draws", self.max_draws, 999)
        check_at_least("buckets", self.buckets, 2)
        check_at_least("max_categories", self.max_categories, 2)


@dataclass(frozen=True, slots=True)
class MmdSettings:
    """Maximum mean discrepancy, jointly over all columns of a scope."""

    permutations: int = 999
    """Permutations of the labels. The p-value is exact down to 1/(permutations + 1); below, it
    comes from a tail fitted to the permutations and is held to be no smaller than they bear out."""

    features: int = 256
    """Random Fourier features per bandwidth, even; up to four bandwidths are used. More follow the
    exact kernel more closely; with two columns 512 had no more power than 256. With ``kernel: median``
    they only name rows and columns."""

    max_rows: int = 5000
    """Rows of each side at most; more are subsampled by seed and the report says so."""

    kernel: Literal["aggregate", "median"] = "aggregate"
    """``aggregate``: several widths of the kernel with random features, combined; finds most.
    ``median``: one Gaussian kernel at the median distance, exact; plain MMD as it is in papers."""

    def __post_init__(self) -> None:
        check_at_least("permutations", self.permutations, 99)
        check_at_least("features", self.features, 8)
        check_at_least("max_rows", self.max_rows, 100)
        if self.features % 2:
            raise FieldError("features", f"{self.features} is odd; write an even number")


@dataclass(frozen=True, slots=True)
class ClassifierSettings:
    """Classifier two-sample test, jointly over all columns of a scope."""

    learner: Literal["ridge", "trees"] = "ridge"
    """``ridge``: closed form in numpy, finds shifts of means, spreads and correlations. ``trees``:
    boosted trees, find interactions too, but only half of the rows test; needs scikit-learn."""

    permutations: int = 999
    """Permutations of the labels. The p-value is exact down to 1/(permutations + 1)."""

    max_rows: int = 5000
    """Rows of each side at most; more are subsampled by seed and the report says so."""

    def __post_init__(self) -> None:
        check_at_least("permutations", self.permutations, 99)
        check_at_least("max_rows", self.max_rows, 100)


@dataclass(frozen=True, slots=True)
class NullsSettings:
    """Difference of null rates, per column: nothing to set yet."""


@dataclass(frozen=True, slots=True)
class UnseenSettings:
    """Share of rows in categories the reference has never had: nothing to set yet."""


@dataclass(frozen=True, slots=True)
class DistinctSettings:
    """Number of distinct values, per categorical column of many: nothing to set yet."""


@dataclass(frozen=True, slots=True)
class TestsSettings:
    """Which tests run. One that is left out of a given ``tests:`` is off.

    ``nulls``, ``unseen`` and ``distinct`` watch the quality of the data and are on unless set to
    null.
    """

    __test__ = False  # not a pytest class

    ks: KsSettings | None = None
    chi2: ChiSquareSettings | None = None
    mmd: MmdSettings | None = None
    c2st: ClassifierSettings | None = None
    nulls: NullsSettings | None = field(default_factory=NullsSettings)
    unseen: UnseenSettings | None = field(default_factory=UnseenSettings)
    distinct: DistinctSettings | None = field(default_factory=DistinctSettings)

    @classmethod
    def all(cls) -> TestsSettings:
        """Every test with its defaults: what runs when ``tests:`` is not given."""
        return cls(KsSettings(), ChiSquareSettings(), MmdSettings(), ClassifierSettings())
