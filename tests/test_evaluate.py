"""The map: every test on every column, each by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from shiftwatch.evaluate import Current, Evaluation, brief, evaluate
from shiftwatch.reference import Reference, prepare
from shiftwatch.sample import Column, Sample, categorical, numeric
from shiftwatch.settings import ChiSquareSettings, ClassifierSettings, MmdSettings, TestsSettings
from shiftwatch.twosample.ks import Ks
from shiftwatch.twosample.nulls import Nulls
from shiftwatch.twosample.protocol import NotTested, Outcome, Prepared
from shiftwatch.twosample.registry import Plan, build
from shiftwatch.values import Kind, SchemaColumn, Skipped, TwoSampleResult

SEED = 11


@dataclass(frozen=True, slots=True)
class Drawing:
    """A test whose answer is its randomness alone: the p-value of the batch, the reference's."""

    name: ClassVar[str] = "drawing"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"numeric", "categorical"})

    def prepare(self, reference: Column, rng: np.random.Generator) -> Prepared:
        del reference
        return Prepared(facts={"drawn": rng.random()})

    def run(
        self, prepared: Prepared, current: Column, rng: np.random.Generator
    ) -> Outcome | NotTested:
        drawn = float(prepared.facts["drawn"])
        return Outcome(drawn, rng.random(), 0.0, None, None, current.rows, current.rows)


@dataclass(frozen=True, slots=True)
class DrawingJoint:
    """The same for all columns of a scope."""

    name: ClassVar[str] = "drawing_joint"

    def prepare(self, reference: Sample, rng: np.random.Generator) -> Prepared:
        del reference
        return Prepared(facts={"drawn": rng.random()})

    def run(
        self, prepared: Prepared, current: Sample, rng: np.random.Generator
    ) -> Outcome | NotTested:
        drawn = float(prepared.facts["drawn"])
        return Outcome(drawn, rng.random(), 0.0, None, None, current.rows, current.rows)


@dataclass(frozen=True, slots=True)
class Failing:
    """A test with a bug that only some columns bring to light."""

    fails_on: str
    name: ClassVar[str] = "failing"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"numeric"})

    def prepare(self, reference: Column, rng: np.random.Generator) -> Prepared:
        del reference, rng
        return Prepared()

    def run(
        self, prepared: Prepared, current: Column, rng: np.random.Generator
    ) -> Outcome | NotTested:
        del prepared, rng
        if current.name == self.fails_on:
            raise ZeroDivisionError("planted")
        return NotTested("constant", "of no interest")


@dataclass(frozen=True, slots=True)
class FailingJoint:
    """The same for a joint test."""

    name: ClassVar[str] = "failing_joint"

    def prepare(self, reference: Sample, rng: np.random.Generator) -> Prepared:
        del reference, rng
        return Prepared()

    def run(
        self, prepared: Prepared, current: Sample, rng: np.random.Generator
    ) -> Outcome | NotTested:
        del prepared, rng
        raise IndexError(f"planted among {', '.join(current.names())}")


JOINT = build(
    TestsSettings(
        chi2=ChiSquareSettings(max_draws=999),
        mmd=MmdSettings(99, 16, 100),
        c2st=ClassifierSettings("ridge", 99, 100),
    )
)


def _sample(rows: int, seed: int) -> Sample:
    rng = np.random.default_rng(seed)
    return Sample(
        rows,
        (
            numeric("x", rng.normal(size=rows)),
            numeric("y", rng.exponential(size=rows)),
            # Rare categories, so that chi2 draws its p-value.
            categorical("c", rng.choice(["a", "b", "d"], rows, p=[0.97, 0.02, 0.01]).tolist()),
            numeric("p", rng.random(rows), "prediction"),
        ),
    )


def _schema(sample: Sample) -> list[SchemaColumn]:
    return [SchemaColumn(c.name, c.kind, c.role, c.type) for c in sample.columns]


def _reference(plan: Plan, names: str = "xycp") -> Reference:
    sample = _only(_sample(120, 0), names)
    return prepare(sample, _schema(sample), plan, SEED)


def _only(sample: Sample, names: str) -> Sample:
    return Sample(sample.rows, tuple(sample.column(name) for name in names))


def _evaluated(
    plan: Plan, *, reference: str = "xycp", current: str = "xycp", batch: str = "b1"
) -> Evaluation:
    absent = {name: "missing_column" for name in reference if name not in current}
    sample = _only(_sample(60, 1), current)
    return evaluate(_reference(plan, reference), Current(sample, absent, batch), plan, SEED)


def _entries(evaluation: Evaluation) -> list[TwoSampleResult | Skipped]:
    return [*evaluation.results, *evaluation.skipped]


def _by_target(evaluation: Evaluation) -> dict[tuple[str, ...], TwoSampleResult | Skipped]:
    everything = _entries(evaluation)
    entries: dict[tuple[str, ...], TwoSampleResult | Skipped]
    entries = {(entry.test, entry.target, entry.scope): entry for entry in everything}
    assert len(entries) == len(everything)
    return entries


def test_each_test_on_each_target_of_each_batch_draws_from_an_address_of_its_own() -> None:
    plan = Plan((Drawing(),), (DrawingJoint(),))
    two = [r for b in ("b1", "b2") for r in _evaluated(plan, batch=b).results]
    assert len({result.p_value for result in two}) == len(two) == 2 * (4 + 2)
    assert len({result.statistic for result in two}) == 6, "the reference knows no batch"


@pytest.mark.parametrize("gone", ["x", "y", "c"])
def test_a_column_less_changes_no_other_columns_result(gone: str) -> None:
    names = "xycp".replace(gone, "")
    plan = Plan((Drawing(), *JOINT.column), ())
    whole = _by_target(_evaluated(plan))
    fewer = _by_target(_evaluated(plan, reference=names, current=names))
    assert fewer == {key: entry for key, entry in whole.items() if key[1] != gone}


@pytest.mark.parametrize("gone", ["chi2", "nulls", "unseen", "mmd", "c2st"])
def test_a_test_less_changes_no_other_tests_result(gone: str) -> None:
    whole = _by_target(_evaluated(JOINT))
    plan = Plan(
        tuple(test for test in JOINT.column if test.name != gone),
        tuple(test for test in JOINT.joint if test.name != gone),
    )
    fewer = _by_target(_evaluated(plan))
    assert fewer == {key: entry for key, entry in whole.items() if key[0] != gone}


def test_the_order_of_columns_in_the_batch_and_columns_beyond_do_not_matter() -> None:
    plan = Plan((Drawing(), *JOINT.column), JOINT.joint)
    expected = _evaluated(plan)
    assert _by_target(_evaluated(plan, current="pcyx")) == _by_target(expected)
    more = _evaluated(plan, reference="xcp", current="ycxp")
    same = _evaluated(plan, reference="xcp", current="xcp")
    assert _by_target(more) == _by_target(same)


def test_a_test_that_raises_is_a_failed_test_and_hides_no_other() -> None:
    plan = Plan((Failing("y"), Ks()), (FailingJoint(), *JOINT.joint))
    entries = _by_target(_evaluated(plan))
    assert entries["failing", "y", "input"] == Skipped(
        "failing", "y", "input", "test_failed", "ZeroDivisionError: planted"
    )
    assert entries["failing", "x", "input"] == Skipped(
        "failing", "x", "input", "constant", "of no interest"
    )
    assert entries["failing_joint", "*", "prediction"] == Skipped(
        "failing_joint", "*", "prediction", "test_failed", "IndexError: planted among p"
    )
    ran = {key[:2] for key, entry in entries.items() if isinstance(entry, TwoSampleResult)}
    assert ran == {("ks", "x"), ("ks", "y"), ("ks", "p"), ("mmd", "*"), ("c2st", "*")}


def test_an_absent_column_is_skipped_by_its_reason_and_so_is_every_joint_test_of_its_scope() -> (
    None
):
    plan = Plan((Ks(), Nulls()), JOINT.joint)
    absent = {"y": "changed_type", "p": "no_predictions"}
    current = Current(_only(_sample(60, 1), "xc"), absent, "b1")
    evaluation = evaluate(_reference(plan), current, plan, SEED)
    told = {(s.test, s.target, s.scope): (s.reason, s.detail) for s in evaluation.skipped}
    assert told["ks", "y", "input"] == ("changed_type", "")
    assert told["nulls", "p", "prediction"] == ("no_predictions", "")
    assert told["mmd", "*", "input"] == ("changed_type", "y")
    assert told["c2st", "*", "prediction"] == ("no_predictions", "p")
    assert {r.target for r in evaluation.results} == {"x"}
    assert [profile.name for profile in evaluation.columns] == list("xycp")


def test_columns_that_no_test_can_use_are_named() -> None:
    odd = (
        Column("when", "timestamp", "input", "timestamp[us]", np.zeros(120), np.ones(120, bool)),
        Column("list", "unsupported", "input", "list<int64>", np.zeros(0), np.ones(120, bool)),
        Column("key", "unsupported", "id", "binary", np.zeros(0), np.ones(120, bool)),
    )
    sample = _sample(120, 0).with_columns(odd)
    reference = prepare(sample, _schema(sample), JOINT, SEED)
    evaluation = evaluate(reference, Current(sample, {}, "b1"), JOINT, SEED)
    told = {s.target: (s.reason, s.detail) for s in evaluation.skipped if s.test == "ks"}
    assert told == {
        "when": ("timestamp", "timestamp[us]"),
        "list": ("unsupported_type", "list<int64>"),
    }
    assert [profile.name for profile in evaluation.columns] == [*"xycp", "when", "list"]


def test_a_scope_without_columns_runs_no_joint_test() -> None:
    evaluation = _evaluated(JOINT, reference="xyc", current="xyc")
    assert {entry.scope for entry in _entries(evaluation)} == {"input"}


def test_rows_in_another_order_give_the_same_evidence_by_column() -> None:
    plan = Plan(JOINT.column, ())
    sample = _sample(60, 1)
    turned = sample.take(np.arange(59, -1, -1))
    reference = _reference(plan)
    straight, reverse = (
        evaluate(reference, Current(each, {}, "b1"), plan, SEED) for each in (sample, turned)
    )
    assert straight.results == reverse.results
    assert straight.columns == reverse.columns


def test_texts_without_end_do_not_go_into_a_run_and_stay_apart() -> None:
    long = ["a" * 5_000_000 + end for end in "xy"]
    texts = [long[0], "b"] * 60
    schema = [SchemaColumn("s", "categorical", "input", "string")]
    plan = build(TestsSettings(chi2=ChiSquareSettings()))
    reference = prepare(Sample(120, (categorical("s", texts),)), schema, plan, SEED)
    now = categorical("s", [long[1], "b", "b"] * 20)
    evaluation = evaluate(reference, Current(Sample(60, (now,)), {}, "b1"), plan, SEED)
    assert len(repr(evaluation)) < 20_000
    (profile,) = evaluation.columns
    assert profile.new_categories == (brief(long[1]),)
    assert brief(long[0]) in profile.categories
    assert brief(long[0]) != brief(long[1])
    assert brief(long[0]).startswith("a" * 200 + "~")
    assert brief({"a": ["b", 1, None]}) == {"a": ["b", 1, None]}
