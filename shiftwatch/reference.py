"""What is kept of the reference: prepared once, used by every check.

In:    the reference sample with predictions, the tests, the root seed.
Out:   Reference: schema, arrays and facts by test and target; to and from plain arrays.
Never: touches a file (`cache` does); compares anything.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, field, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from shiftwatch import profile, summary
from shiftwatch.inflation import Inflation, between
from shiftwatch.progress import counted
from shiftwatch.sample import Sample
from shiftwatch.twosample.protocol import ColumnTest, JointTest, Prepared
from shiftwatch.twosample.registry import Plan
from shiftwatch.values import TESTED_SCOPES, SchemaColumn, Scope

JOINT = "*"
"""Target of a joint test."""

FORMAT = 5
"""Raise it when what a test prepares changes within a version, so that no cache is mistaken."""

DERIVED_TESTS = ("ks", "chi2")
"""Tests of derived columns."""

_PROFILE = "profile"
_PERFORMANCE = "performance"
_SUMMARY = "summary"

Root = int | str
"""Where every address begins: a seed, or what :func:`root` makes of it."""


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """Prepared reference of one model.

    ``arrays`` are keyed ``test/scope/target/array``; ``facts`` hold the JSON of each
    ``test/scope/target``. Arrays may be mapped from disk. ``inflations`` hold, by
    ``test/scope/target``, by how much dependence between rows enlarges a statistic, at several
    lengths of window; a target whose rows are as good as independent is not in it. ``order`` is
    what the measurement found, as JSON; see ``dependence.measure``. ``sampled`` says how many rows
    were taken and why not all; empty where all were.
    """

    schema: tuple[SchemaColumn, ...]
    rows: int
    arrays: Mapping[str, NDArray[Any]]
    facts: Mapping[str, Any]
    inflations: Mapping[str, Sequence[Inflation]] = field(default_factory=dict)
    order: Mapping[str, Any] = field(default_factory=dict)
    sampled: str = ""

    def inflation(self, test: str, scope: Scope, target: str, rows: float) -> Inflation | None:
        """Inflation of a statistic for batches of so many rows; None where there is none."""
        return between(self.inflations.get(_key(test, scope, target), ()), rows)

    def kappa(self, test: str, scope: Scope, target: str, rows: float) -> float:
        """Factor by which dependence between rows enlarges a squared statistic, 1 or more."""
        measured = self.inflation(test, scope, target, rows)
        return measured.kappa if measured is not None else 1.0

    def prepared(self, test: str, scope: Scope, target: str) -> Prepared:
        """What a test kept for one target."""
        key = _key(test, scope, target)
        names = self.facts[key]["arrays"]
        return Prepared(
            {name: self.arrays[f"{key}/{name}"] for name in names}, self.facts[key]["facts"]
        )

    def profile(self, column: SchemaColumn) -> Prepared:
        """The reference's side of the report for one column."""
        return self.prepared(_PROFILE, scope_of(column), column.name)

    def performance(self) -> Prepared | None:
        """What is known of being right on the reference; None where no label was configured."""
        key = _key(_PERFORMANCE, "prediction", JOINT)
        return self.prepared(_PERFORMANCE, "prediction", JOINT) if key in self.facts else None

    def with_performance(self, prepared: Prepared) -> Reference:
        """The reference, with what is known of being right on it."""
        key = _key(_PERFORMANCE, "prediction", JOINT)
        arrays = {f"{key}/{name}": array for name, array in prepared.arrays.items()}
        entry = {"arrays": list(prepared.arrays), "facts": dict(prepared.facts)}
        return replace(self, arrays={**self.arrays, **arrays}, facts={**self.facts, key: entry})

    def summary(self) -> Prepared:
        """The cells that batches are counted in, and the reference's own counts."""
        return self.prepared(_SUMMARY, "input", JOINT)

    def to_plain(self) -> tuple[Mapping[str, NDArray[Any]], Mapping[str, Any]]:
        """Arrays and JSON facts, for the cache."""
        schema = [asdict(column) for column in self.schema]
        inflations = {key: [astuple(i) for i in found] for key, found in self.inflations.items()}
        return self.arrays, {
            "schema": schema,
            "rows": self.rows,
            "prepared": self.facts,
            "inflations": inflations,
            "order": self.order,
            "sampled": self.sampled,
        }

    @classmethod
    def from_plain(cls, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> Reference:
        """The inverse of :meth:`to_plain`."""
        schema = tuple(SchemaColumn(**column) for column in facts["schema"])
        inflations = {
            key: tuple(Inflation(*fields) for fields in found)
            for key, found in facts["inflations"].items()
        }
        return cls(
            schema,
            facts["rows"],
            arrays,
            facts["prepared"],
            inflations,
            facts["order"],
            facts["sampled"],
        )


def scope_of(column: SchemaColumn) -> Scope:
    """The scope a column is tested in."""
    return "prediction" if column.role == "prediction" else "input"


def testable(schema: Sequence[SchemaColumn], scope: Scope) -> tuple[SchemaColumn, ...]:
    """Columns of a scope that hold values a test can use."""
    return tuple(
        column
        for column in schema
        if column.role in ("input", "prediction")
        and scope_of(column) == scope
        and column.kind in ("numeric", "categorical")
    )


def together(schema: Sequence[SchemaColumn], scope: Scope) -> tuple[SchemaColumn, ...]:
    """Columns of a scope that joint tests see: derived ones would only repeat their source."""
    return tuple(column for column in testable(schema, scope) if column.derived_from is None)


def suits(test: ColumnTest, column: SchemaColumn) -> bool:
    """Whether a test looks at a column; nulls and new values of a derived one are its source's."""
    own = column.derived_from is None or test.name in DERIVED_TESTS
    return own and column.kind in test.kinds


def root(seed: int, reference_sha256: str) -> str:
    """The root of a model's addresses: the configured seed and the bytes of the reference.

    Another reference, also an accepted one, draws anew: what is accepted after an alarm owes
    nothing to the draws that led there.

    Examples
    --------
    >>> root(0, "5e1f")
    '0:5e1f'
    """
    return f"{seed}:{reference_sha256}"


def drawer(test: ColumnTest | JointTest) -> str:
    """A test as a part of an address: its name and its parameters, as JSON.

    Of the configuration this is all that an address holds. Moving files, another schedule, level
    or tolerance, or another test beside this one draw the same numbers and give the same p-values.
    """
    return json.dumps([test.name, asdict(cast("Any", test))], sort_keys=True)


def generator(seed: Root, *address: str) -> np.random.Generator:
    """A generator with an address: any order, worker and restart draws the same stream.

    Philox, keyed by a SHA-256 over the root and the address. A test on a batch draws from (seed and
    SHA-256 of the reference; id of the batch, which is a hash of its bytes; name and parameters of
    the test; scope; target); its ``prepare`` from (the same root; "reference"; test/scope/target).
    The rows of a batch or a reference that is too large are drawn from the seed alone and
    (id of the batch, or "reference"; "rows"), as they do not depend on the other side.

    Examples
    --------
    >>> a, b = generator(0, "batch", "ks"), generator(0, "batch", "ks")
    >>> bool(a.random() == b.random())
    True
    """
    text = "\0".join([str(seed), *address]).encode()
    key = int.from_bytes(hashlib.sha256(text).digest()[:16], "big")
    return np.random.Generator(np.random.Philox(key=key))


def prepare(sample: Sample, schema: Sequence[SchemaColumn], plan: Plan, seed: Root) -> Reference:
    """Run every test's ``prepare`` once.

    Parameters
    ----------
    sample
        The reference with predictions beside the inputs.
    schema
        All columns with their roles, predictions included.
    plan
        The configured tests.
    seed
        Root; each target draws from its own address.
    """
    arrays: dict[str, NDArray[Any]] = {}
    facts: dict[str, Any] = {}
    entries = _entries(sample, schema, plan, seed)
    for key, prepared in counted("preparing the reference", entries, _steps(schema, plan)):
        facts[key] = {"arrays": sorted(prepared.arrays), "facts": prepared.facts}
        arrays.update({f"{key}/{name}": array for name, array in prepared.arrays.items()})
    return Reference(tuple(schema), sample.rows, arrays, facts)


def _entries(
    sample: Sample, schema: Sequence[SchemaColumn], plan: Plan, seed: Root
) -> Iterator[tuple[str, Prepared]]:
    for column in schema:
        if column.role in ("input", "prediction"):
            key = _key(_PROFILE, scope_of(column), column.name)
            yield key, profile.prepare(sample.column(column.name))
    tested = [column for scope in TESTED_SCOPES for column in testable(schema, scope)]
    yield _key(_SUMMARY, "input", JOINT), summary.prepare(sample, tested)
    for scope in TESTED_SCOPES:
        columns = testable(schema, scope)
        yield from _column_entries(sample, columns, plan, seed)
        whole = together(schema, scope)
        joint = Sample(sample.rows, tuple(sample.column(column.name) for column in whole))
        for test in plan.joint if whole else ():
            key = _key(test.name, scope, JOINT)
            yield key, test.prepare(joint, generator(seed, "reference", key))


def _steps(schema: Sequence[SchemaColumn], plan: Plan) -> int:
    """How many entries there will be, about: for progress."""
    columns = [column for scope in TESTED_SCOPES for column in testable(schema, scope)]
    tests = sum(suits(test, column) for test in plan.column for column in columns)
    return len(columns) + tests + len(plan.joint) + 1


def _column_entries(
    sample: Sample, columns: Sequence[SchemaColumn], plan: Plan, seed: Root
) -> Iterator[tuple[str, Prepared]]:
    for test in plan.column:
        for column in columns:
            if suits(test, column):
                key = _key(test.name, scope_of(column), column.name)
                rng = generator(seed, "reference", key)
                yield key, test.prepare(sample.column(column.name), rng)


def _key(test: str, scope: Scope, target: str) -> str:
    return f"{test}/{scope}/{target}"
