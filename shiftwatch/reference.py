"""What is kept of the reference: prepared once, used by every check.

In:    the reference sample with predictions, the tests, the root seed.
Out:   Reference: schema, arrays and facts by test and target; to and from plain arrays.
Never: touches a file (`cache` does); compares anything.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from shiftwatch import profile
from shiftwatch.sample import Sample
from shiftwatch.twosample.protocol import ColumnTest, JointTest, Prepared
from shiftwatch.twosample.registry import Plan
from shiftwatch.values import TESTED_SCOPES, SchemaColumn, Scope

JOINT = "*"
"""Target of a joint test."""

FORMAT = 2
"""Raise it when what a test prepares changes within a version, so that no cache is mistaken."""

_PROFILE = "profile"

Root = int | str
"""Where every address begins: a seed, or what :func:`root` makes of it."""


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """Prepared reference of one model.

    ``arrays`` are keyed ``test/scope/target/array``; ``facts`` hold the JSON of each
    ``test/scope/target``. Arrays may be mapped from disk.
    """

    schema: tuple[SchemaColumn, ...]
    rows: int
    arrays: Mapping[str, NDArray[Any]]
    facts: Mapping[str, Any]

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

    def to_plain(self) -> tuple[Mapping[str, NDArray[Any]], Mapping[str, Any]]:
        """Arrays and JSON facts, for the cache."""
        schema = [asdict(column) for column in self.schema]
        return self.arrays, {"schema": schema, "rows": self.rows, "prepared": self.facts}

    @classmethod
    def from_plain(cls, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> Reference:
        """The inverse of :meth:`to_plain`."""
        schema = tuple(SchemaColumn(**column) for column in facts["schema"])
        return cls(schema, facts["rows"], arrays, facts["prepared"])


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
    for key, prepared in _entries(sample, schema, plan, seed):
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
    for scope in TESTED_SCOPES:
        columns = testable(schema, scope)
        yield from _column_entries(sample, columns, plan, seed)
        joint = Sample(sample.rows, tuple(sample.column(column.name) for column in columns))
        for test in plan.joint if columns else ():
            key = _key(test.name, scope, JOINT)
            yield key, test.prepare(joint, generator(seed, "reference", key))


def _column_entries(
    sample: Sample, columns: Sequence[SchemaColumn], plan: Plan, seed: Root
) -> Iterator[tuple[str, Prepared]]:
    for test in plan.column:
        for column in columns:
            if column.kind in test.kinds:
                key = _key(test.name, scope_of(column), column.name)
                rng = generator(seed, "reference", key)
                yield key, test.prepare(sample.column(column.name), rng)


def _key(test: str, scope: Scope, target: str) -> str:
    return f"{test}/{scope}/{target}"
