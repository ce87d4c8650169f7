"""Which tests there are: one line each.

In:    settings of the tests.
Out:   the tests to run, built from them.
Never: knows what a test computes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TypeVar

from shiftwatch.settings import TestsSettings
from shiftwatch.twosample.chisquare import ChiSquare
from shiftwatch.twosample.classifier import Classifier
from shiftwatch.twosample.distinct import Distinct
from shiftwatch.twosample.ks import Ks
from shiftwatch.twosample.mmd import Mmd
from shiftwatch.twosample.nulls import Nulls
from shiftwatch.twosample.protocol import ColumnTest, JointTest
from shiftwatch.twosample.unseen import Unseen

COLUMN_TESTS: Mapping[str, type[ColumnTest]] = {
    "ks": Ks,
    "chi2": ChiSquare,
    "nulls": Nulls,
    "unseen": Unseen,
    "distinct": Distinct,
}
"""Tests of one column at a time, by the name used in configuration, metrics and reports."""

JOINT_TESTS: Mapping[str, type[JointTest]] = {"mmd": Mmd, "c2st": Classifier}
"""Tests of all columns of a scope together."""


_Test = TypeVar("_Test")


@dataclass(frozen=True, slots=True)
class Plan:
    """The tests of one model."""

    column: tuple[ColumnTest, ...]
    joint: tuple[JointTest, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names in the order in which they run."""
        return (*(t.name for t in self.column), *(t.name for t in self.joint))


def build(settings: TestsSettings) -> Plan:
    """The configured tests; one whose settings are None is off."""
    return Plan(
        tuple(_built(COLUMN_TESTS, settings)),
        tuple(_built(JOINT_TESTS, settings)),
    )


def _built(tests: Mapping[str, type[_Test]], settings: TestsSettings) -> list[_Test]:
    chosen = ((kind, getattr(settings, name)) for name, kind in tests.items())
    return [kind(**asdict(parameters)) for kind, parameters in chosen if parameters is not None]
