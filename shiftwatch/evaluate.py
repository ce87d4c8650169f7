"""Run every test on one sample: the map, which depends on no other batch.

In:    the prepared reference, the current sample, the tests, the seed and the batch's id.
Out:   results, skips with their reasons, column profiles.
Never: compares with a level; remembers anything.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from shiftwatch.inflation import Inflation, widen
from shiftwatch.meter import UNMETERED, Meter
from shiftwatch.profile import profile
from shiftwatch.progress import counted
from shiftwatch.reference import (
    JOINT,
    Reference,
    Root,
    drawer,
    generator,
    scope_of,
    suits,
    testable,
    together,
)
from shiftwatch.sample import Column, Sample
from shiftwatch.twosample.protocol import (
    ColumnTest,
    Explaining,
    JointTest,
    NotTested,
    Outcome,
    Prepared,
)
from shiftwatch.twosample.registry import Plan
from shiftwatch.values import (
    TESTED_SCOPES,
    ColumnProfile,
    SchemaColumn,
    Scope,
    Skipped,
    TwoSampleResult,
)

_LONGEST_TEXT, _KEPT = 256, 200
"""Characters of a category that a run may show, and that it shows of a longer one."""


@dataclass(frozen=True, slots=True, eq=False)
class Current:
    """The sample of a batch with predictions, and why columns of the reference are not in it."""

    sample: Sample
    absent: Mapping[str, str]
    """Column name to skip reason: missing_column, changed_type, duplicate_column, no_predictions."""
    batch_id: str


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Everything the tests say of one batch."""

    results: tuple[TwoSampleResult, ...]
    skipped: tuple[Skipped, ...]
    columns: tuple[ColumnProfile, ...]


def evaluate(
    reference: Reference, current: Current, plan: Plan, seed: Root, meter: Meter = UNMETERED
) -> Evaluation:
    """Run the configured tests of both scopes.

    Parameters
    ----------
    reference
        Prepared with the same plan.
    current
        Columns of the reference as far as the batch has them.
    plan
        The configured tests.
    seed
        Root; a test on a target draws from (batch, test with its parameters, scope, target).
    meter
        Told of each test, and of the profiles.
    """
    steps = len(reference.facts)  # an entry a test and target, and one a column
    raw = counted("testing", outcomes(reference, current, plan, seed, meter, explained=True), steps)
    entries = [_told(_widened(reference, entry)) for entry in raw]
    with meter.stage("profile"):
        profiles = [
            _brief_profile(
                profile(column, reference.profile(column), _present(current, column.name))
            )
            for column in reference.schema
            if column.role in ("input", "prediction")
        ]
    return Evaluation(
        results=tuple(entry for entry in entries if isinstance(entry, TwoSampleResult)),
        skipped=tuple(entry for entry in entries if isinstance(entry, Skipped)),
        columns=tuple(profiles),
    )


def _present(current: Current, name: str) -> Column | None:
    return current.sample.column(name) if current.sample.has(name) else None


def outcomes(
    reference: Reference,
    current: Current,
    plan: Plan,
    seed: Root,
    meter: Meter = UNMETERED,
    *,
    explained: bool = False,
) -> Iterator[TwoSampleResult | Skipped]:
    """Every test on every target, as if rows were independent; parameters of :func:`evaluate`.

    ``explained`` asks the tests for what only a reader needs.
    """
    yield from _unsuitable(reference.schema)
    for scope in TESTED_SCOPES:
        columns = testable(reference.schema, scope)
        for column_test in plan.column:
            suited = [column for column in columns if suits(column_test, column)]
            explain = _explain(column_test) if explained else None
            with meter.test(column_test.name):
                found = [
                    _column(reference, current, column_test, each, seed, explain) for each in suited
                ]
            yield from found
        for joint_test in plan.joint:
            if together(reference.schema, scope):
                with meter.test(joint_test.name):
                    joint = _joint(reference, current, joint_test, scope, seed)
                yield joint


def _widened(reference: Reference, entry: TwoSampleResult | Skipped) -> TwoSampleResult | Skipped:
    """The result with what dependence between rows takes away from it."""
    if isinstance(entry, Skipped):
        return entry
    measured = reference.inflation(entry.test, entry.scope, entry.target, entry.rows_current)
    return entry if measured is None else inflated(entry, measured)


def inflated(result: TwoSampleResult, measured: Inflation) -> TwoSampleResult:
    """The result with its p-value widened, and its interval by the root of the inflation.

    An interval reaches about as far as a standard deviation, which dependence multiplies by
    sqrt(kappa).
    """
    reach = math.sqrt(measured.kappa)
    low, high = result.effect_low, result.effect_high
    if low is not None and high is not None:
        low = max(0.0, result.effect - reach * (result.effect - low))
        high = min(1.0, result.effect + reach * (high - result.effect))
    return replace(
        result,
        p_value=widen(result.p_value, measured, result.effect),
        effect_low=low,
        effect_high=high,
        inflation=measured.kappa,
    )


def _unsuitable(schema: Sequence[SchemaColumn]) -> Iterator[Skipped]:
    """Inputs no test can use are named once, under the test that would be theirs."""
    for column in schema:
        if column.role in ("input", "prediction") and column.kind == "timestamp":
            yield Skipped("ks", column.name, scope_of(column), "timestamp", column.type)
        if column.role in ("input", "prediction") and column.kind == "unsupported":
            yield Skipped("ks", column.name, scope_of(column), "unsupported_type", column.type)


_Explain = Callable[[Prepared, Column], Mapping[str, Any]]


def _explain(test: ColumnTest) -> _Explain | None:
    return test.explain if isinstance(test, Explaining) else None


def _column(
    reference: Reference,
    current: Current,
    test: ColumnTest,
    column: SchemaColumn,
    seed: Root,
    explain: _Explain | None,
) -> TwoSampleResult | Skipped:
    scope = scope_of(column)
    if column.name in current.absent:
        return Skipped(test.name, column.name, scope, current.absent[column.name])
    rng = generator(seed, current.batch_id, drawer(test), scope, column.name)
    prepared = reference.prepared(test.name, scope, column.name)
    own = current.sample.column(column.name)

    def run() -> Outcome | NotTested:
        outcome = test.run(prepared, own, rng)
        if explain is None or isinstance(outcome, NotTested):
            return outcome
        return replace(outcome, explanation={**outcome.explanation, **explain(prepared, own)})

    return _placed(test.name, column.name, scope, run)


def _joint(
    reference: Reference, current: Current, test: JointTest, scope: Scope, seed: Root
) -> TwoSampleResult | Skipped:
    names = [column.name for column in together(reference.schema, scope)]
    gone = [name for name in names if name in current.absent]
    if gone:
        return Skipped(test.name, JOINT, scope, current.absent[gone[0]], ", ".join(gone))
    sample = Sample(current.sample.rows, tuple(current.sample.column(name) for name in names))
    rng = generator(seed, current.batch_id, drawer(test), scope)
    prepared = reference.prepared(test.name, scope, JOINT)
    return _placed(test.name, JOINT, scope, lambda: test.run(prepared, sample, rng))


def settled(value: float) -> float:
    """A p-value, or an end of an interval, to nine digits: then it is the same on every machine.

    The last of the sixteen digits depend on how a processor rounds exp and adds up a product, and
    on the version of the library that inverts a law (measured: up to 1e-14 of the value). No
    decision needs them. Statistics and effects of ranks and counts are the same without.

    Examples
    --------
    >>> settled(0.5357718245534555) == settled(0.5357718245534558)
    True
    >>> settled(1e-300), settled(1.0)
    (1e-300, 1.0)
    """
    return float(f"{value:.8e}")


def _told(entry: TwoSampleResult | Skipped) -> TwoSampleResult | Skipped:
    """A result with its p-value and both ends of its interval settled, the effect between them."""
    if isinstance(entry, Skipped):
        return entry
    low, high = entry.effect_low, entry.effect_high
    return replace(
        entry,
        p_value=settled(entry.p_value),
        effect_low=None if low is None else min(settled(low), max(low, entry.effect)),
        effect_high=None if high is None else max(settled(high), min(high, entry.effect)),
        explanation=brief(entry.explanation),
    )


def brief(value: Any) -> Any:
    """JSON whose texts have an end: of a longer one the beginning, and a hash to tell it apart.

    A text of many MB takes a few hundred bytes of a file, and every run would carry it ten times
    over: to the daemon, into the history and the report.

    Examples
    --------
    >>> brief({"category": "a" * 500})["category"][-20:]
    'aaaaaa~69206a472a1f3'
    """
    if isinstance(value, str):
        if len(value) <= _LONGEST_TEXT:
            return value
        digest = hashlib.sha256(value.encode(errors="surrogatepass")).hexdigest()
        return f"{value[:_KEPT]}~{digest[:13]}"
    if isinstance(value, Mapping):
        return {key: brief(each) for key, each in value.items()}
    return [brief(each) for each in value] if isinstance(value, list) else value


def _brief_profile(told: ColumnProfile) -> ColumnProfile:
    return replace(
        told,
        categories=tuple(brief(list(told.categories))),
        new_categories=tuple(brief(list(told.new_categories))),
    )


def _placed(
    test: str, target: str, scope: Scope, run: Callable[[], Outcome | NotTested]
) -> TwoSampleResult | Skipped:
    """Run one test; one that fails is named and never hides the others."""
    try:
        outcome = run()
    except Exception as fault:  # noqa: BLE001 - a bad column must not take the good ones with it
        reason = f"{type(fault).__name__}: {fault}"
        return Skipped(test, target, scope, "test_failed", reason)
    if isinstance(outcome, NotTested):
        return Skipped(test, target, scope, outcome.reason, outcome.detail)
    return TwoSampleResult(
        test=test,
        target=target,
        scope=scope,
        statistic=outcome.statistic,
        p_value=outcome.p_value,
        effect=outcome.effect,
        effect_low=outcome.effect_low,
        effect_high=outcome.effect_high,
        rows_reference=outcome.rows_reference,
        rows_current=outcome.rows_current,
        explanation=outcome.explanation,
    )
