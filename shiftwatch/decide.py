"""Turn evidence into decisions, over tests, columns and checks: the fold.

In:    results and findings of one batch, State after the batch before, Policy.
Out:   one Decision per scope, and the new State.
Never: sees data; sees a batch out of order; computes a p-value.

The promise: with ``per_checks`` = K, every check spends a level of at most 1/K over all columns,
tests and scopes together, by a weighted Bonferroni correction, which is valid under any dependence.
By linearity of expectation the expected number of false alarms in N checks is then at most N/K,
although all checks share one reference. The level of a check is divided equally among the families
(one test on one scope) and within a family equally among its targets, so that one joint test does
not drown among a thousand columns.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from shiftwatch.errors import StoreError
from shiftwatch.settings import AlarmSettings, ToleranceSettings
from shiftwatch.values import (
    TESTED_SCOPES,
    Decision,
    Evidence,
    Finding,
    Scope,
    Skipped,
    TwoSampleResult,
    Verdict,
)

STATE_VERSION = 1

QUIET_CHECKS = 3
"""An alarm of a tested scope clears after this many consecutive quiet checks."""

QUIET_ABOVE = 0.05
"""A check is quiet when the scope's corrected p-value, taken alone, is above this."""

DATA_TOLERANCE: Mapping[str, float] = {"nulls": 0.005, "unseen": 0.001}
"""Smaller default tolerances: half a per cent of new nulls is rarely chance and often a bug."""

_COUNTED_SKIPS = frozenset({"all_categories_known", "test_failed"})
"""Skips that depend on which rows are the batch's: they keep their share of the level, or the level
of the others would depend on the data."""


@dataclass(frozen=True, slots=True)
class Policy:
    """When an alarm rises and which shifts are too small to matter."""

    per_checks: int
    tolerance: ToleranceSettings = field(default_factory=ToleranceSettings)

    @classmethod
    def of(cls, alarms: AlarmSettings, tolerance: ToleranceSettings) -> Policy:
        """The policy of a configuration."""
        return cls(alarms.per_checks, tolerance)

    @property
    def level(self) -> float:
        """Level of one check over everything."""
        return 1.0 / self.per_checks

    def smallest(self, result: TwoSampleResult) -> float:
        """The smallest shift that matters for this test and target."""
        chosen = self.tolerance
        if result.target in chosen.columns:
            return chosen.columns[result.target]
        if result.test in chosen.tests:
            return chosen.tests[result.test]
        return min(chosen.default, DATA_TOLERANCE.get(result.test, chosen.default))


@dataclass(frozen=True, slots=True)
class ScopeState:
    """What is remembered of one scope."""

    alarm: bool = False
    quiet: int = 0
    since: str | None = None


@dataclass(frozen=True, slots=True)
class State:
    """What is remembered of one model from batch to batch."""

    checks: int = 0
    scopes: Mapping[Scope, ScopeState] = field(default_factory=dict)
    basis: str | None = None
    """Reference and model the memory was made with; None in a new state."""

    def to_json(self) -> str:
        """Text for the store, versioned."""
        scopes = {
            scope: {"alarm": s.alarm, "quiet": s.quiet, "since": s.since}
            for scope, s in self.scopes.items()
        }
        content = {
            "version": STATE_VERSION,
            "checks": self.checks,
            "scopes": scopes,
            "basis": self.basis,
        }
        return json.dumps(content, sort_keys=True)

    @classmethod
    def from_json(cls, text: str | None) -> State:
        """State from the store; None is a model without a past.

        Raises
        ------
        StoreError
            If the text was written by another version.
        """
        if text is None:
            return cls()
        content = json.loads(text)
        if content.get("version") != STATE_VERSION:
            raise StoreError(
                f"decision state has version {content.get('version')}, not {STATE_VERSION}",
                hint="run the version of shiftwatch that wrote it, or start a new store",
            )
        scopes = {scope: ScopeState(**fields) for scope, fields in content["scopes"].items()}
        return cls(content["checks"], scopes, content.get("basis"))


@dataclass(frozen=True, slots=True)
class Weighed:
    """A result with its p-value corrected for everything tested in this check."""

    result: TwoSampleResult
    share: float
    """Its part of the level of the check."""
    matters: bool
    """False when the effect is shown to be below the tolerance."""

    @property
    def corrected(self) -> float:
        """Bonferroni-corrected p-value; at most the level of the check raises the alarm."""
        return min(1.0, self.result.p_value / self.share)


def weigh(
    results: Sequence[TwoSampleResult], skipped: Sequence[Skipped], policy: Policy
) -> tuple[Weighed, ...]:
    """Divide the level among families and within them; the shares add up to 1 at most."""
    counted: list[TwoSampleResult | Skipped] = [*results]
    counted += [skip for skip in skipped if skip.reason in _COUNTED_SKIPS]
    sizes = Counter((entry.scope, entry.test) for entry in counted)
    return tuple(
        Weighed(
            result,
            share=1.0 / (len(sizes) * sizes[result.scope, result.test]),
            matters=_matters(result, policy),
        )
        for result in results
    )


def _matters(result: TwoSampleResult, policy: Policy) -> bool:
    return result.effect_high is None or result.effect_high > policy.smallest(result)


def named(weighed: Sequence[Weighed], level: float) -> tuple[TwoSampleResult, ...]:
    """Which results moved, by Holm's procedure with weights, at family-wise error ``level``.

    Source: Holm (1979), Scand. J. Statist. 6, 65-70, section 3 (weights).
    """
    ordered = sorted(weighed, key=lambda w: w.result.p_value / w.share)
    remaining = sum(entry.share for entry in ordered)
    found: list[TwoSampleResult] = []
    for entry in ordered:
        if entry.result.p_value > level * entry.share / remaining:
            break
        remaining = max(remaining - entry.share, entry.share * 1e-9)
        if entry.matters:
            found.append(entry.result)
    return tuple(found)


def decide(
    results: Sequence[TwoSampleResult],
    skipped: Sequence[Skipped],
    findings: Sequence[Finding],
    before: tuple[State, str],
    policy: Policy,
) -> tuple[tuple[Decision, ...], State]:
    """Decide on every scope after one batch.

    Parameters
    ----------
    results, skipped, findings
        Evidence of the batch.
    before
        State after the batch before, and the id of this batch.
    policy
        The promise and the tolerances.
    """
    state, batch_id = before
    weighed = weigh(results, skipped, policy)
    movers = named(weighed, policy.level)
    decisions = []
    for scope in TESTED_SCOPES:
        own = [entry for entry in weighed if entry.result.scope == scope]
        targets = _targets(movers, scope)
        past = state.scopes.get(scope, ScopeState())
        decisions.append(_tested(scope, own, targets, (past, batch_id), policy))
    decisions.append(_schema(findings, (state.scopes.get("schema", ScopeState()), batch_id)))
    scopes = {d.scope: _remember(d, state.scopes.get(d.scope, ScopeState())) for d in decisions}
    return tuple(decisions), State(state.checks + bool(results), scopes)


def _targets(movers: Sequence[TwoSampleResult], scope: Scope) -> tuple[str, ...]:
    """Columns in order of evidence, each once; joint tests name no column."""
    names = [result.target for result in movers if result.scope == scope and result.target != "*"]
    return tuple(dict.fromkeys(names))


def _tested(
    scope: Scope,
    own: Sequence[Weighed],
    targets: tuple[str, ...],
    past: tuple[ScopeState, str],
    policy: Policy,
) -> Decision:
    before, batch_id = past
    if not own:
        return Decision(
            scope, before.alarm, False, False, Evidence(), None, policy.level, (), before.since
        )
    p_value = min([entry.corrected for entry in own if entry.matters], default=1.0)
    crossed = p_value <= policy.level
    quiet = 0 if _is_loud(p_value, policy.level) else before.quiet + 1
    cleared = before.alarm and not crossed and quiet >= QUIET_CHECKS
    alarm = crossed or (before.alarm and not cleared)
    return Decision(
        scope=scope,
        alarm=alarm,
        raised=crossed and not before.alarm,
        cleared=cleared,
        evidence=Evidence(check=_ratio(p_value, policy.level)),
        p_value=p_value,
        level=policy.level,
        columns=targets,
        since=(before.since if before.alarm else batch_id) if alarm else None,
    )


def _is_loud(p_value: float, level: float) -> bool:
    """Whether a check puts off the clearing; one that crossed a generous level always does."""
    return p_value <= max(QUIET_ABOVE, level)


def _ratio(p_value: float, level: float) -> float:
    return max(0.0, math.log(p_value) / math.log(level))


def carried(state: State, policy: Policy) -> tuple[Decision, ...]:
    """The alarms as they stand, for a batch on which nothing could be decided."""
    return tuple(
        Decision(scope, past.alarm, False, False, Evidence(), None, policy.level, (), past.since)
        for scope, past in sorted(state.scopes.items())
    )


def _schema(findings: Sequence[Finding], past: tuple[ScopeState, str]) -> Decision:
    """Schema faults are facts: the alarm holds while they last."""
    before, batch_id = past
    invalid = [finding for finding in findings if finding.severity == "invalid"]
    alarm = bool(invalid)
    return Decision(
        scope="schema",
        alarm=alarm,
        raised=alarm and not before.alarm,
        cleared=before.alarm and not alarm,
        evidence=Evidence(check=1.0 if alarm else 0.0),
        p_value=None,
        level=0.0,
        columns=tuple(dict.fromkeys(finding.column for finding in invalid if finding.column)),
        since=(before.since if before.alarm else batch_id) if alarm else None,
    )


def _remember(decision: Decision, before: ScopeState) -> ScopeState:
    if decision.p_value is None:
        return ScopeState(decision.alarm, before.quiet, decision.since)
    quiet = 0 if _is_loud(decision.p_value, decision.level) else before.quiet + 1
    return ScopeState(decision.alarm, quiet, decision.since)


def verdict(
    decisions: Sequence[Decision],
    results: Sequence[TwoSampleResult],
    skipped: Sequence[Skipped],
    findings: Sequence[Finding],
) -> Verdict:
    """The answer of this check alone: only a check in which something was tested can be quiet."""
    crossed = any(
        d.p_value is not None and d.p_value <= d.level for d in decisions if d.scope != "schema"
    )
    if crossed:
        return "shift"
    if any(skip.reason == "test_failed" for skip in skipped):
        return "error"
    if any(finding.severity == "invalid" for finding in findings):
        return "invalid_data"
    return "no_shift" if results else "insufficient_data"
