"""From what one check found to its decisions: the slow layers and the fold, in this order.

In:    results, skips and findings of a batch, its summary, the state after the batch before.
Out:   decisions, the answer of the check, the state after it.
Never: reads a row, a clock or a file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from shiftwatch import decide
from shiftwatch.decide.latch import Looked
from shiftwatch.memory import strata
from shiftwatch.memory.fold import Alarms, Basis, Memory, Observed, Spending, observe, settle
from shiftwatch.meter import UNMETERED, Meter
from shiftwatch.reference import Reference, Root, generator, scope_of
from shiftwatch.sample import Sample
from shiftwatch.values import (
    TESTED_SCOPES,
    Decision,
    Finding,
    Skipped,
    TwoSampleResult,
    Verdict,
)


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What one check found."""

    results: Sequence[TwoSampleResult]
    skipped: Sequence[Skipped]
    findings: Sequence[Finding]
    sample: Sample
    """The batch, for its summary; not kept."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Which batch it is, and when."""

    batch_id: str
    at: float
    """Unix seconds: the newest event time of the batch, or when it is judged."""
    took: float | None = None
    """Seconds of event time it covers, None if unknown."""
    stratum: str = strata.WHOLE


@dataclass(frozen=True, slots=True)
class Concluded:
    """Decisions, the answer of the check, and the state after it."""

    decisions: tuple[Decision, ...]
    verdict: Verdict
    state: decide.State
    level: decide.Level
    """What this check might spend."""


@dataclass(frozen=True, slots=True, eq=False)
class Rules:
    """What a model's conclusions rest on besides the evidence."""

    reference: Reference
    policy: decide.Policy
    root: Root
    rows: int = 0
    """Rows of the batch, for the inflation by dependence."""

    @property
    def method(self) -> Literal["cusum", "e-process"] | None:
        """How evidence is added up over batches; None if it is not."""
        return None if self.policy.memory == "none" else self.policy.memory

    def basis(self) -> Basis:
        """What the memory rests on."""
        scopes = {column.name: scope_of(column) for column in self.reference.schema}
        return strata.basis_of(
            self.reference,
            self.policy.smallest,
            prove=self.policy.tolerance.mode == "prove",
            kappa=lambda test, name: self.reference.kappa(test, scopes[name], name, self.rows),
        )


def conclude(
    rules: Rules, found: Found, moment: Moment, before: decide.State, meter: Meter = UNMETERED
) -> Concluded:
    """Let the slow layers look at the batch, and decide.

    Parameters
    ----------
    rules
        Reference, policy and root of the random draws.
    found
        Evidence of this check.
    moment
        Identity and time of the batch.
    before
        State after the batch before.
    meter
        Told of the counting of the batch.
    """
    since = before.seconds_until(moment.at)
    level = rules.policy.level(moment.took if since is None else since)
    if not found.results or rules.method is None:
        looked = Looked(found.results, found.skipped, found.findings)
        decisions, after = decide.decide(looked, (before, moment.batch_id), rules.policy, level)
    else:
        looked, decisions, after = _with_memory(rules, found, moment, (before, level), meter)
    if found.results:
        after = replace(after, clock=max(moment.at, before.clock or moment.at))
    return Concluded(decisions, decide.verdict(decisions, looked), after, level)


def _with_memory(
    rules: Rules,
    found: Found,
    moment: Moment,
    past: tuple[decide.State, decide.Level],
    meter: Meter,
) -> tuple[Looked, tuple[Decision, ...], decide.State]:
    before, level = past
    method = rules.method or "cusum"
    basis = rules.basis()
    memory = strata.recall(before.memory, moment.stratum, basis, method)
    spending = Spending(level.window, level.pool, method, level.steady)
    with meter.stage("summary"):
        counted = basis.plan.layout.summarise(found.sample)
    rng = generator(rules.root, moment.batch_id, "memory")
    observed = observe(basis, memory, (counted, moment.batch_id), spending, rng)
    looked = Looked(found.results, found.skipped, found.findings, observed.evidence)
    decisions, after = decide.decide(looked, (before, moment.batch_id), rules.policy, level)
    settled = _settled(basis, observed, decisions)
    return (
        looked,
        decisions,
        replace(after, memory=strata.kept(before.memory, moment.stratum, basis, settled)),
    )


def _settled(basis: Basis, observed: Observed, decisions: Sequence[Decision]) -> Memory:
    tested = [decision for decision in decisions if decision.scope in TESTED_SCOPES]
    return settle(
        basis,
        observed,
        Alarms(
            on=any(decision.alarm for decision in tested),
            raised=any(decision.raised for decision in tested),
            cleared=tuple(decision.scope for decision in tested if decision.cleared),
            seen=tuple(each.scope for each in tested if each.raised and "check" in each.crossed),
        ),
    )
