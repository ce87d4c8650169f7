"""The prepared reference: randomness with an address, and nothing lost on the way to disk."""

from __future__ import annotations

import hashlib
from itertools import product
from pathlib import Path

import numpy as np

from shiftwatch import cache
from shiftwatch import reference as room
from shiftwatch.reference import JOINT, Reference, generator, prepare, scope_of
from shiftwatch.sample import Sample, categorical, numeric
from shiftwatch.settings import ChiSquareSettings, KsSettings, MmdSettings, TestsSettings
from shiftwatch.twosample.registry import Plan, build
from shiftwatch.values import Kind, Role, SchemaColumn

PLAN = build(TestsSettings(ks=KsSettings(), chi2=ChiSquareSettings(), mmd=MmdSettings(99, 16, 100)))


def _sample(rows: int = 80) -> Sample:
    rng = np.random.default_rng(0)
    values = rng.normal(size=rows)
    values[:3] = np.nan
    return Sample(
        rows,
        (
            numeric("amount", values),
            numeric("a/b", rng.normal(size=rows)),
            categorical("größe", [None, *rng.choice(["s", "m"], rows - 1).tolist()]),
            numeric("score", rng.random(rows), "prediction"),
        ),
    )


def _schema(sample: Sample) -> list[SchemaColumn]:
    return [SchemaColumn(c.name, c.kind, c.role, c.type) for c in sample.columns]


def _reference(plan: Plan = PLAN, seed: int = 3) -> Reference:
    sample = _sample()
    return prepare(sample, _schema(sample), plan, seed)


def test_an_address_gives_one_stream_whenever_and_wherever_it_is_asked() -> None:
    first = generator(0, "batch", "ks").random(100)
    generator(0, "batch", "chi2").random(7)
    np.testing.assert_array_equal(generator(0, "batch", "ks").random(100), first)


def test_the_stream_of_an_address_is_the_philox_stream_of_its_digest() -> None:
    digest = hashlib.sha256(b"5\0batch\0mmd\0input").digest()
    expected = np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "big")))
    np.testing.assert_array_equal(
        generator(5, "batch", "mmd", "input").random(10), expected.random(10)
    )


def test_other_seeds_and_addresses_give_other_streams() -> None:
    addresses = [(), ("a",), ("a", "b"), ("ab",), ("b", "a"), ("a", ""), ("1",)]
    streams = {
        (seed, address): generator(seed, *address).random()
        for seed, address in product((0, 1, 2**127), addresses)
    }
    assert len(set(streams.values())) == len(streams)


def test_a_reference_survives_the_cache_bit_by_bit(tmp_path: Path) -> None:
    reference = _reference()
    cache.write(tmp_path / "kept", *reference.to_plain())
    stored = cache.read(tmp_path / "kept", verify=True)
    assert stored is not None
    again = Reference.from_plain(*stored)
    assert (again.schema, again.rows) == (reference.schema, reference.rows)
    assert again.facts == reference.facts
    assert set(again.arrays) == set(reference.arrays)
    for name, array in reference.arrays.items():
        assert again.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(again.arrays[name], array)


def test_each_target_gets_back_what_its_test_kept() -> None:
    reference, sample = _reference(), _sample()
    for test in PLAN.column:
        for column in sample.columns:
            if column.kind not in test.kinds:
                continue
            scope = scope_of(SchemaColumn(column.name, column.kind, column.role, column.type))
            address = f"{test.name}/{scope}/{column.name}"
            expected = test.prepare(column, generator(3, "reference", address))
            kept = reference.prepared(test.name, scope, column.name)
            assert kept.facts == expected.facts
            assert set(kept.arrays) == set(expected.arrays)
            for name, array in expected.arrays.items():
                np.testing.assert_array_equal(kept.arrays[name], array)


def test_a_joint_test_is_prepared_once_for_each_scope_that_has_columns() -> None:
    reference = _reference()
    assert reference.prepared("mmd", "input", JOINT).arrays
    assert reference.prepared("mmd", "prediction", JOINT).arrays
    sample = Sample(80, _sample().columns[:3])
    inputs_only = prepare(sample, _schema(sample), PLAN, 3)
    assert not [key for key in inputs_only.facts if "prediction" in key]


def test_one_column_more_or_less_leaves_the_others_as_they_were() -> None:
    whole, sample = _reference(), Sample(80, _sample().columns[1:])
    fewer = prepare(sample, _schema(sample), PLAN, 3)
    shared = [name for name in fewer.arrays if not name.startswith(("mmd/input", "summary/"))]
    assert shared
    for name in shared:
        np.testing.assert_array_equal(fewer.arrays[name], whole.arrays[name])


def test_only_inputs_and_predictions_with_values_are_tested() -> None:
    kinds: tuple[Kind, ...] = ("numeric", "categorical", "timestamp", "unsupported")
    roles: tuple[Role, ...] = ("input", "prediction", "id", "time", "label", "ignored")
    schema = [SchemaColumn(f"{role} {kind}", kind, role, "") for role in roles for kind in kinds]
    assert [c.name for c in room.testable(schema, "input")] == [
        "input numeric",
        "input categorical",
    ]
    assert [c.name for c in room.testable(schema, "prediction")] == [
        "prediction numeric",
        "prediction categorical",
    ]
    assert room.testable(schema, "schema") == ()
